/* SPDX-License-Identifier: Apache-2.0 */
/* How the ranks of a group wait for each other's words. */
#ifndef CKPT_FANOUT_TALK_H
#define CKPT_FANOUT_TALK_H

#include "client/deadline.h"
#include "fanout/state.h"

/* Gives the group up: the others are told, and the road is ended. Once; returns status. */
enum ckpt_status talk_give_up(struct ckpt_fanout *group, enum ckpt_status status);

/* Sends status and reason, as MET, FAULT, ABORT, OUTCOME and VERDICT have them. */
void talk_outcome(struct ckpt_fanout *group, uint32_t to, enum word_type type,
                  enum ckpt_status status, const char *reason);

/* Reads one. CKPT_ERR_PROTOCOL where it is none; reason_out gets its line. */
enum ckpt_status talk_read_outcome(const struct word *word, char *reason_out);

/* What ends a group whatever it waits for: CKPT_OK, it is another word. The group's reason is set
 * otherwise. */
enum ckpt_status talk_judge(struct ckpt_fanout *group, const struct word *word);

/* A rank waits for the leader's word, of `bytes` at least. */
enum ckpt_status talk_await(struct ckpt_fanout *group, enum word_type type, size_t bytes,
                            struct deadline deadline, struct word *word_out);

/* What the leader wants of each other rank: a word of `bytes`. take returns what is wrong with
 * it. */
struct talk_roll {
    enum word_type type;
    size_t bytes;
    enum ckpt_status (*take)(struct ckpt_fanout *group, const struct word *word, void *context);
    void *context;
    uint32_t heard;
    bool has_said[CKPT_FANOUT_RANKS_MAX];
};

/* A word that came; where it is one of the roll, it counts. */
enum ckpt_status talk_note(struct ckpt_fanout *group, struct talk_roll *roll,
                           const struct word *word);

/* Waits for what the roll lacks. */
enum ckpt_status talk_collect(struct ckpt_fanout *group, struct talk_roll *roll,
                              struct deadline deadline);

#endif
