/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with memory waits while a rank of this node copies.
 *
 * The ranks of a node save at the same time and end one after the other. Digests of the first, and
 * reads of what peers have saved, would take CPU time and memory bandwidth from those that still
 * copy, which training waits for. So work that comes while a slot is being filled makes the digest
 * threads and the mover stand still until no slot is, and QUIET_MS at most: what is filled for
 * longer, maybe by a rank that was stopped in the middle, holds up nothing more. After a quiet
 * there is none for as long as it was, so that ranks that save all the time leave half of the time
 * to replication.
 *
 * A scrub stands back for as long as a slot is being filled, whether other work comes or not.
 *
 * All functions are the loop's. */
#ifndef CKPT_CKPTD_QUIET_H
#define CKPT_CKPTD_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#include <ckpt/status.h>

#define QUIET_MS 200

struct digester;
struct event_base;
struct mover;
struct quiet;

/* For slots 0 to slots - 1. Knows digester and mover, and must be freed before they are stopped.
 * CKPT_ERR_MEMORY. */
enum ckpt_status quiet_make(struct event_base *base, uint32_t slots, struct digester *digester,
                            struct mover *mover, struct quiet **quiet_out);

/* Ends a quiet. Nulls *quiet; NULL is let be. */
void quiet_free(struct quiet **quiet);

/* A slot has got this state: filling or not. Again is nothing new. */
void quiet_slot(struct quiet *quiet, uint32_t slot, bool filling, uint64_t now_ms);

/* A digest or a read is about to be given to the threads. */
void quiet_work(struct quiet *quiet, uint64_t now_ms);

#endif
