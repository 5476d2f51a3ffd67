/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that digest. They also zero segments for other users: work of the same kind and size.
 *
 * Chunks that have just landed go first, while they are in cache; then the oldest job that wants
 * its slot digested. The threads are nice to the trainer. */
#ifndef CKPT_CKPTD_DIGESTER_H
#define CKPT_CKPTD_DIGESTER_H

#include <sched.h>

#include "job.h"

struct digester;
struct mover;

/* threads: 1 to 64. nice: added to their priority, 0 to 19. cpus: where they run; empty: anywhere.
 * CKPT_ERR_MEMORY, CKPT_ERR_SYSTEM. */
enum ckpt_status digester_start(uint32_t threads, int nice, const cpu_set_t *cpus,
                                struct digester **digester_out);

/* Who takes segments that have to be registered anew; before the first renewal. */
void digester_set_mover(struct digester *digester, struct mover *mover);

/* Ends the threads; jobs that were not begun finish as CKPT_ERR_ABORTED. Nulls *digester. */
void digester_stop(struct digester **digester);

/* Digests (or renews) the whole job; takes the caller's hold. */
void digester_add(struct digester *digester, struct job *job);

/* While held, no slot's digest is begun or gone on with. Chunks that land are digested, and
 * segments renewed, which ranks wait for. */
void digester_hold(struct digester *digester, bool held);

/* Digests one chunk that has landed; takes one hold. Never fails: with no memory to queue it, the
 * caller's own thread digests. */
void digester_add_chunk(struct digester *digester, struct job *job, uint64_t chunk);

#endif
