/* SPDX-License-Identifier: Apache-2.0 */
/* The load of a run, as the tables have it: what it waits for, and which checkpoint it uses. */
#ifndef CKPT_COORDINATOR_RESTORE_STATE_H
#define CKPT_COORDINATOR_RESTORE_STATE_H

#include "coordinator/state.h"

/* Whether a round of the clock may have something to do for it. */
bool coordinator_restore_waits(const struct restore *restore);
/* To a state that may follow upon the one it is in. */
void coordinator_restore_move(struct coordinator *c, struct run *run, enum restore_state to);
/* To be called wherever a load may have begun to wait. */
void coordinator_restore_stirs(struct coordinator *c, const struct run *run);
/* The first ask of a load: nothing is known of it yet. */
void coordinator_restore_start(struct coordinator *c, struct run *run,
                               const struct message_load_ask *ask);
/* The shard's rank has asked in this very load. */
bool coordinator_restore_is_asked(const struct restore *restore, const struct shard *s);
/* What has become of the ask of the shard's rank, to a state that may follow. */
void coordinator_load_move(struct shard *s, enum load_state to);
/* As if the shard's rank had not asked: its copy has gone, or its process has. */
void coordinator_restore_forget_ask(struct coordinator *c, struct run *run, struct shard *s);
/* Ranks are being given the checkpoint by a load, or may ask for it again. */
bool coordinator_restore_uses(const struct coordinator *c, const struct checkpoint *k);
/* As coordinator_restore_uses, and what a load that is choosing may come to use, or ranks that lost
 * its verdict may ask for again: what is not to be retired before its time. */
bool coordinator_restore_may_use(const struct coordinator *c, const struct checkpoint *k);

#endif
