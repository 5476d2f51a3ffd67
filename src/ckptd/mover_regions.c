/* SPDX-License-Identifier: Apache-2.0 */
/* The arena's registration with the transport: once at start, anew where segments are renewed. */
#include <stdio.h>
#include <string.h>

#include "mover_state.h"

static enum ckpt_status register_segment(struct mover *m, uint32_t segment)
{
    struct transport_memory memory = {
        .address = arena_segment_address(m->arena, segment),
        .bytes = arena_segment_bytes(m->arena),
        .generation = 1,
        .near = rails_near(m->options.rails, arena_segment_node(m->arena, segment))};
    return transport_register(m->transport, &memory, &m->regions[segment]);
}

enum ckpt_status mover_register_all(struct mover *m)
{
    uint32_t count = arena_segment_count(m->arena);
    for (uint32_t i = 0; i < count; i++) {
        enum ckpt_status status = register_segment(m, i);
        if (status != CKPT_OK) {
            snprintf(m->reason, sizeof m->reason,
                     "segment %u of %u can't be registered with %s: %s; check ulimit -l "
                     "(LimitMEMLOCK=infinity in the unit)",
                     i, count, m->spec, ckpt_status_text(status));
            return status;
        }
    }
    return CKPT_OK;
}

/* Segments whose earlier user may still have them open get new files. */
void mover_renew_segments(struct mover *m, struct job *job)
{
    for (uint32_t i = 0; i < job->wanting_count; i++) {
        uint32_t segment = job->wanting[i];
        enum ckpt_status status =
            m->regions[segment] == NULL ? CKPT_OK : transport_deregister(m->regions[segment]);
        if (status == CKPT_OK) {
            m->regions[segment] = NULL;
            status = arena_segment_repair(m->arena, segment);
        }
        if (status == CKPT_OK) {
            status = register_segment(m, segment);
        }
        if (status != CKPT_OK) {
            job_fail(job, status);
        }
    }
    job_release(job);
}

void mover_revoke_segments(struct mover *m, const uint16_t *segments, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct transport_region *region = m->regions[segments[i]];
        if (region != NULL && region->generation != NULL) {
            (void)transport_revoke(region, *region->generation + 1);
        }
    }
}

void mover_fill_offer(struct mover *m, struct offer_reply *reply)
{
    struct message_offer *offer = &reply->message.offer;
    for (uint32_t i = 0; i < reply->segment_count && offer->status == CKPT_OK; i++) {
        struct transport_region *region = m->regions[reply->segments[i]];
        size_t bytes = 0;
        enum ckpt_status status = region == NULL
                                      ? CKPT_ERR_MEMORY
                                      : transport_export(region, reply->descriptors[i], &bytes);
        if (status != CKPT_OK) {
            offer->status = status;
        }
        reply->regions[i] =
            (struct message_region){.bytes = (uint32_t)bytes, .descriptor = reply->descriptors[i]};
    }
    memcpy(reply->address, m->address, m->address_bytes);
    offer->worker_address = reply->address;
    offer->worker_address_bytes = (uint32_t)m->address_bytes;
    offer->segment_bytes = arena_segment_bytes(m->arena);
    offer->regions = reply->regions;
    offer->region_count = reply->segment_count;
    completions_post_offer(m->completions, reply);
}
