/* SPDX-License-Identifier: Apache-2.0 */
/* What the other threads tell the loop: finished jobs, and offers whose regions have been filled
 * in. Any thread posts; the loop takes when the descriptor is readable. */
#ifndef CKPT_CKPTD_COMPLETIONS_H
#define CKPT_CKPTD_COMPLETIONS_H

#include "job.h"
#include <ckpt/status.h>

/* A MESSAGE_OFFER on its way to the peer on `link`. Its regions and address are in its own memory.
 */
struct offer_reply {
    struct offer_reply *next;
    uint32_t link;
    struct message message;
    uint32_t segment_count;
    uint16_t segments[CKPT_SEGMENTS_PER_SHARD_MAX];
    uint8_t address[CKPT_WORKER_ADDRESS_MAX];
    struct message_region *regions;
    uint8_t (*descriptors)[CKPT_DESCRIPTOR_MAX];
};

struct completions;

enum ckpt_status completions_make(struct completions **completions_out);
void completions_free(struct completions **completions);
int completions_fd(const struct completions *completions);

void completions_post_job(struct completions *completions, struct job *job);
void completions_post_offer(struct completions *completions, struct offer_reply *offer);

/* Takes everything, in the order of posting; the lists are the caller's. Also clears the
 * descriptor. */
void completions_take(struct completions *completions, struct job **jobs_out,
                      struct offer_reply **offers_out);

struct offer_reply *offer_reply_make(uint32_t segment_count); /* NULL: no memory */
void offer_reply_free(struct offer_reply *offer);

#endif
