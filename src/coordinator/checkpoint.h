/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a checkpoint. */
#ifndef CKPT_COORDINATOR_CHECKPOINT_H
#define CKPT_COORDINATOR_CHECKPOINT_H

#include "coordinator/state.h"

/* To a state that may follow upon the one it is in. */
void coordinator_checkpoint_move(struct coordinator *c, struct checkpoint *k,
                                 enum checkpoint_state state);
/* Every rank has sealed. */
void coordinator_checkpoint_verifying(struct coordinator *c, struct checkpoint *k);
/* Before a rank's seal is counted. What an agent tells of when it joins was sealed who knows when:
 * this coordinator may be a new one. */
void coordinator_checkpoint_time_seal(const struct coordinator *c, struct checkpoint *k,
                                      uint32_t member);
/* Before it is committed: the newest one of its run is still the one before it. */
void coordinator_checkpoint_time_commit(struct coordinator *c, const struct run *run,
                                        struct checkpoint *k, uint64_t wall_ms);
/* After a state changed: the run's newest consistent step. */
void coordinator_run_refresh_latest(struct coordinator *c, struct run *run);
/* Ranks went back to step, or that attempt has saved: what was quarantined above it, or of an
 * earlier attempt, is not the newest any more. */
void coordinator_run_pass_over(struct coordinator *c, const struct run *run, uint32_t attempt,
                               uint64_t step);
/* The open checkpoint never becomes consistent; its agents hear why, and free what they have. */
void coordinator_checkpoint_abort(struct coordinator *c, struct checkpoint *k,
                                  enum ckpt_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The committed checkpoint is given up, on record, and leaves the table. */
void coordinator_checkpoint_retire(struct coordinator *c, struct checkpoint *k, const char *reason);
/* Before k is retired by command, or quarantined: `latest` moves back. Reports of it and of what
 * was retired before it may still be on their way, and a coordinator that starts anew hears of
 * copies again: on record, so that nothing brings them back. What earlier attempts saved does not
 * come back anyway, nor does what lies below `latest`. */
void coordinator_checkpoint_withdraw(struct coordinator *c, const struct checkpoint *k);
/* The consistent checkpoint is offered no longer, on record. */
void coordinator_checkpoint_quarantine(struct coordinator *c, struct checkpoint *k,
                                       const char *reason);
/* The update's own commit of k: its shards are read from the tables after this turn. */
bool coordinator_checkpoint_is_committed_now(const struct coordinator *c,
                                             const struct checkpoint *k);
/* A rank saves in rising order, so what it has passed by never has all ranks, and its memory is
 * wanted: at once, and not when save_timeout is over. Only on the word of a node that has told all
 * that it holds: else the shard may be there, and its report on the way. */
void coordinator_run_gone_on(struct coordinator *c, const struct run *run,
                             const struct shard_key *at, uint32_t member);
/* A later attempt has begun: what the earlier ones have not made consistent never will be, or
 * `latest` could move under a rank that already restored. */
void coordinator_run_raise_attempt(struct coordinator *c, struct run *run, uint32_t attempt,
                                   bool keep_verifying, const struct nonce *start);

#endif
