/* SPDX-License-Identifier: Apache-2.0 */
/* One verdict for all ranks of a load. */
#ifndef CKPT_COORDINATOR_RESTORE_H
#define CKPT_COORDINATOR_RESTORE_H

#include "coordinator/state.h"

/* A good digest of the copy came in, for this order (0: for none). */
void coordinator_restore_copy_verified(struct coordinator *c, struct shard *s, struct copy *copy,
                                       uint64_t order);
/* The member's copy is not what a rank of a load may have. */
void coordinator_restore_copy_gone(struct coordinator *c, struct shard *s, uint32_t member);
/* A rank asks, and its load has its step. */
void coordinator_restore_ask(struct coordinator *c, struct run *run, uint32_t member,
                             const struct message_load_ask *ask);
/* Loads that have waited for too long end; verdicts that are due go out. */
void coordinator_restores_tick(struct coordinator *c);

#endif
