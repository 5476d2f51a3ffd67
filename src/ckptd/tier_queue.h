/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that writes to the tier: jobs go in from the loop, ends come out to it.
 *
 * The tier may block for as long as its medium does: a disk that hangs, a server that is gone. So
 * the loop waits for nothing here. When no block has been written for `timeout_ms`, all jobs end
 * as far as the loop knows; the thread is where it is, and what it does after that gets no name. */
#ifndef CKPT_CKPTD_TIER_QUEUE_H
#define CKPT_CKPTD_TIER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "arena/arena.h"
#include "tier/tier.h"
#include "wire/message_tier.h"

struct tier_queue;

struct tier_job {
    struct tier_job *next;
    uint64_t work; /* the machine's number */
    bool is_manifest;
    struct arena *arena;
    struct arena_view view; /* of a shard: its bytes, for as long as the thread may read them */
    struct message_persist_order shard;
    struct tier_manifest manifest;
    /* How it ended. */
    enum ckpt_status status;
    struct digest name;
    uint64_t bytes;
    char reason[CKPT_REASON_MAX + 1];
    bool has_failed; /* before it was begun, as status and reason say */
    bool is_told;    /* the loop has been told that it ended, and forgets it */
};

/* place: as tier_open() takes it; options: but for proceed, notice and context; both copied, texts
 * by reference. CKPT_ERR_MEMORY, CKPT_ERR_SYSTEM. */
enum ckpt_status tier_queue_make(const char *place, const struct tier_options *options,
                                 uint32_t timeout_ms, int nice, struct tier_queue **queue_out);

/* Ends the thread, or leaves it behind where it hangs. Nulls *queue; NULL is let be. */
void tier_queue_free(struct tier_queue **queue);

/* Readable when jobs may have ended. */
int tier_queue_fd(const struct tier_queue *queue);

/* Takes the job, which is zeroed but for what it is about. */
void tier_queue_add(struct tier_queue *queue, struct tier_job *job);

/* What has ended, in that order, the caller's to free with tier_job_free(); first all that hangs
 * for too long, as ended by CKPT_ERR_TIMEOUT. */
struct tier_job *tier_queue_take(struct tier_queue *queue);
void tier_job_free(struct tier_job *job);

#endif
