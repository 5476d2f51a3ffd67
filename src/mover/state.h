/* SPDX-License-Identifier: Apache-2.0 */
/* The mover's inside. All of it is its thread's, but for what the lock guards, and what is set
 * before the thread starts. */
#ifndef CKPT_MOVER_STATE_H
#define CKPT_MOVER_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <ckpt/status.h>

#include "base/limits.h"
#include "base/rare.h"
#include "mover/options.h"

#define MOVER_REFUSED 16 /* ways to peers that cannot be made, by cause: said rarely */

struct arena;
struct command;
struct completions;
struct digester;
struct slice;
struct transport;
struct transport_region;
struct way;
struct work;

struct mover {
    struct mover_options options;
    struct arena *arena;
    struct digester *digester;
    struct completions *completions;
    struct transport *transport;
    const char *spec;                  /* of that */
    char fell[CKPT_REASON_MAX + 1];    /* why it is not the one that was chosen; "": it is */
    struct transport_region **regions; /* by id; NULL: none, as of a cut segment */
    uint8_t address[CKPT_WORKER_ADDRESS_MAX];
    size_t address_bytes;
    uint32_t depth;
    uint32_t slice_chunks;
    struct slice *slices; /* depth of them; reads.c */
    uint32_t free_slice;
    struct work *reads; /* under way; the first is served next */
    struct way *ways;   /* ways.c */
    struct rare refused[MOVER_REFUSED];
    bool gather_unsupported; /* and said so */
    _Atomic(uint64_t) rails; /* of the transport: the total, and those up in the lower half */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t started_cond;
    uint32_t steps_done; /* of the start: the transport is open, the arena registered */
    enum ckpt_status start_status;
    char reason[CKPT_REASON_MAX + 1];
    bool stopping;
    bool closed; /* the thread is closing the transport */
    bool held;
    bool was_held; /* when the thread looked last: it has to be woken when that is over */
    struct command *first;
    struct command **last;
};

#endif
