/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that digest. They also zero segments for other users: work of the same kind and size.
 *
 * Chunks that have just landed go first, while they are in cache; then the oldest work that wants
 * its slot digested. A scrub, of which there is one at a time, has one thread at most, and that a
 * chunk at a time, while nothing else is to be done and no rank copies; when its patience is over
 * it gets a chunk each few milliseconds, whatever else there is. The threads are nice to the
 * trainer. */
#ifndef CKPT_MOVER_DIGESTER_H
#define CKPT_MOVER_DIGESTER_H

#include <sched.h>

#include "mover/work.h"

struct digester;

/* threads: 1 to 64. nice: added to their priority, 0 to 19. cpus: where they run; empty: anywhere.
 * CKPT_ERR_MEMORY, CKPT_ERR_SYSTEM. */
enum ckpt_status digester_start(uint32_t threads, int nice, const cpu_set_t *cpus,
                                struct digester **digester_out);

/* Ends the threads; works that were not begun finish as CKPT_ERR_ABORTED. Nulls *digester; NULL is
 * let be. */
void digester_stop(struct digester **digester);

/* Digests the whole work, or zeroes its segments; takes the caller's hold. A renewal is handed back
 * when others have some of its segments open: those are `wanting`. */
void digester_add(struct digester *digester, struct work *work);

/* A scrub that is not all begun ends as CKPT_ERR_ABORTED. False: there is none of that number. */
bool digester_cancel(struct digester *digester, uint64_t number);

/* Whether a rank of this node copies: scrubs stand back then. */
void digester_saves(struct digester *digester, bool saves);

/* While held, no slot's digest is begun or gone on with. Chunks that land are digested, and
 * segments zeroed, which ranks wait for. */
void digester_hold(struct digester *digester, bool held);

/* Digests one chunk that has landed; takes one hold. Never fails: with no memory to queue it, the
 * caller's own thread digests. */
void digester_add_chunk(struct digester *digester, struct work *work, uint64_t chunk);

#endif
