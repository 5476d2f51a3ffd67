/* SPDX-License-Identifier: Apache-2.0 */
/* The ranks of a run, a thread and a context of libckpt each, all on one agent at a time. Every
 * step of them is taken by all at once; what it took is from the first that began to the last that
 * ended. By one thread. */
#ifndef CKPTBENCH_RANKS_H
#define CKPTBENCH_RANKS_H

#include <stdint.h>

#include <ckpt/ckpt.h>

#include "base/limits.h"

#define RANKS_MAX 64

struct ranks {
    const char *run;
    uint32_t count;
    uint32_t copy_threads;
    uint32_t timeout_ms;
    const uint8_t *data; /* of all ranks, one after the other */
    uint64_t bytes;      /* of each */
    uint32_t attempt;    /* the last that was opened */
    uint64_t step;       /* the last that was saved */
    struct ckpt *contexts[RANKS_MAX];
    struct ckpt_shard shards[RANKS_MAX];
    char reason[CKPT_REASON_MAX + 1]; /* of the last failure */
};

/* Opens all contexts at an agent, as the next attempt. */
enum ckpt_status ranks_open(struct ranks *ranks, const char *socket);

/* Saves the next step; waits for it. */
enum ckpt_status ranks_save(struct ranks *ranks, double *seconds_out);
enum ckpt_status ranks_wait(struct ranks *ranks, double *seconds_out);

/* Loads the newest step, which must be the last that was saved. The shards stay mapped to
 * ranks_close. */
enum ckpt_status ranks_load(struct ranks *ranks, double *seconds_out);

/* CKPT_ERR_CORRUPT when a loaded shard has other bytes than were saved. */
enum ckpt_status ranks_compare(struct ranks *ranks);

void ranks_close(struct ranks *ranks);

#endif
