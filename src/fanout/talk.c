/* SPDX-License-Identifier: Apache-2.0 */
#include "fanout/talk.h"

#include <string.h>

#include "base/reason.h"

void talk_outcome(struct ckpt_fanout *group, uint32_t to, enum word_type type,
                  enum ckpt_status status, const char *reason)
{
    struct word_outcome outcome = {.status = (uint32_t)status};
    reason_set(outcome.reason, "%s", reason);
    star_send(group->star, to, type, group->fetch, &outcome, sizeof(outcome));
}

enum ckpt_status talk_read_outcome(const struct word *word, char *reason_out)
{
    struct word_outcome outcome;
    if (word->bytes != sizeof(outcome)) {
        return reason_refuse(reason_out, CKPT_ERR_PROTOCOL, "fan-out: rank %u's word has %u bytes",
                             word->from, word->bytes);
    }
    memcpy(&outcome, word->body, sizeof(outcome));
    outcome.reason[CKPT_REASON_MAX] = '\0';
    reason_set(reason_out, "%s", outcome.reason);
    return (enum ckpt_status)outcome.status;
}

enum ckpt_status talk_give_up(struct ckpt_fanout *group, enum ckpt_status status)
{
    group->is_whole = false;
    talk_outcome(group, group_leads(group) ? STAR_ALL : 0,
                 group_leads(group) ? WORD_ABORT : WORD_FAULT, status, group->reason);
    if (group->road != NULL) { /* which may take a moment */
        group->ops->close(group->road);
        group->road = NULL;
    }
    return status;
}

/* A word of failure that says that all is well is none. */
static enum ckpt_status failure_of(struct ckpt_fanout *group, const struct word *word)
{
    enum ckpt_status status = talk_read_outcome(word, group->reason);
    return status != CKPT_OK
               ? status
               : reason_refuse(group->reason, CKPT_ERR_PROTOCOL,
                               "fan-out: rank %u gave the group up, and says no why", word->from);
}

enum ckpt_status talk_judge(struct ckpt_fanout *group, const struct word *word)
{
    if (word->type == WORD_LOST) {
        return reason_refuse(
            group->reason, CKPT_ERR_LINK, "fan-out: rank %u of the group %s", word->from,
            group->settings.road == 0 && !group_leads(group) ? "is not reached, or has another id"
                                                             : "went away");
    }
    /* Whenever it was said: a group that has failed once brings nothing more. */
    return word->type == WORD_ABORT || word->type == WORD_FAULT ? failure_of(group, word) : CKPT_OK;
}

static enum ckpt_status take_one(struct ckpt_fanout *group, struct deadline deadline,
                                 const char *what, struct word *word_out)
{
    int left_ms = deadline_left_ms(deadline);
    if (left_ms == 0) {
        return reason_refuse(group->reason, CKPT_ERR_TIMEOUT, "fan-out: no %s in time", what);
    }
    return star_take(group->star, -1, left_ms, word_out);
}

enum ckpt_status talk_await(struct ckpt_fanout *group, enum word_type type, size_t bytes,
                            struct deadline deadline, struct word *word_out)
{
    for (;;) {
        enum ckpt_status status = take_one(group, deadline, "word of the group's leader", word_out);
        if (status == CKPT_ERR_BUSY) {
            continue;
        }
        if (status == CKPT_OK) {
            status = talk_judge(group, word_out);
        }
        if (status != CKPT_OK) {
            return status;
        }
        if (word_out->type == type && word_out->fetch == group->fetch) {
            return word_out->bytes >= bytes
                       ? CKPT_OK
                       : reason_refuse(group->reason, CKPT_ERR_PROTOCOL,
                                       "fan-out: the leader's word has %u bytes", word_out->bytes);
        }
    }
}

enum ckpt_status talk_note(struct ckpt_fanout *group, struct talk_roll *roll,
                           const struct word *word)
{
    enum ckpt_status status = talk_judge(group, word);
    if (status != CKPT_OK || word->type != roll->type || word->fetch != group->fetch ||
        roll->has_said[word->from]) {
        return status;
    }
    roll->has_said[word->from] = true;
    roll->heard++;
    return word->bytes == roll->bytes
               ? roll->take(group, word, roll->context)
               : reason_refuse(group->reason, CKPT_ERR_PROTOCOL,
                               "fan-out: rank %u's word has %u bytes", word->from, word->bytes);
}

enum ckpt_status talk_collect(struct ckpt_fanout *group, struct talk_roll *roll,
                              struct deadline deadline)
{
    while (roll->heard < group->ranks - 1) {
        struct word word;
        enum ckpt_status status = take_one(group, deadline, "word of all ranks", &word);
        if (status == CKPT_OK) {
            status = talk_note(group, roll, &word);
        }
        if (status != CKPT_OK && status != CKPT_ERR_BUSY) {
            return status;
        }
    }
    return CKPT_OK;
}
