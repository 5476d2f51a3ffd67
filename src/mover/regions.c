/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/regions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mover/completions.h"
#include "mover/digester.h"
#include "mover/rails.h"
#include "transport/transport.h"

static enum ckpt_status register_memory(struct mover *m, uint32_t id)
{
    struct transport_memory memory = {
        .address = arena_segment_address(m->arena, id),
        .bytes = arena_memory_bytes(m->arena, id),
        .generation = 1,
        .near = rails_near(m->options.rails, arena_segment_node(m->arena, id))};
    return transport_register(m->transport, &memory, &m->regions[id]);
}

static enum ckpt_status deregister(struct mover *m, uint32_t id)
{
    if (m->regions[id] == NULL) {
        return CKPT_OK;
    }
    enum ckpt_status status = transport_deregister(m->regions[id]);
    if (status == CKPT_OK) {
        m->regions[id] = NULL;
    }
    return status;
}

static bool is_registrable(const struct mover *m, uint32_t id)
{
    return id < CKPT_PART_ID_FIRST
               ? id < arena_segment_count(m->arena) && !arena_segment_is_cut(m->arena, id)
               : arena_part_is_there(m->arena, id, NULL);
}

enum ckpt_status mover_regions_make(struct mover *m)
{
    m->regions = calloc(CKPT_ARENA_IDS_MAX, sizeof(struct transport_region *));
    if (m->regions == NULL) {
        snprintf(m->reason, sizeof m->reason, "out of memory");
        return CKPT_ERR_MEMORY;
    }
    for (uint32_t id = 0; id < CKPT_ARENA_IDS_MAX; id++) {
        enum ckpt_status status = is_registrable(m, id) ? register_memory(m, id) : CKPT_OK;
        if (status != CKPT_OK) {
            snprintf(m->reason, sizeof m->reason,
                     "segment %u of %u can't be registered with %s: %s; check ulimit -l "
                     "(LimitMEMLOCK=infinity in the unit)",
                     id, arena_segment_count(m->arena), m->spec, ckpt_status_text(status));
            return status;
        }
    }
    return CKPT_OK;
}

static enum ckpt_status drop_part(struct mover *m, uint16_t id)
{
    enum ckpt_status status = deregister(m, id);
    return status == CKPT_OK ? arena_part_drop(m->arena, id) : status;
}

/* Parts that lie in the range are nobody's any more. */
static enum ckpt_status drop_parts(struct mover *m, const struct room_part *range)
{
    uint16_t id;
    enum ckpt_status status = CKPT_OK;
    while (status == CKPT_OK && arena_part_within(m->arena, range, &id)) {
        status = drop_part(m, id);
    }
    return status;
}

static enum ckpt_status make_part(struct mover *m, uint16_t id, const struct room_part *at)
{
    enum ckpt_status status = arena_part_is_there(m->arena, id, NULL) ? drop_part(m, id) : CKPT_OK;
    if (status == CKPT_OK) {
        status = drop_parts(m, at);
    }
    if (status == CKPT_OK) {
        status = deregister(m, at->segment);
    }
    if (status == CKPT_OK) {
        status = arena_part_make(m->arena, id, at);
    }
    return status == CKPT_OK ? register_memory(m, id) : status;
}

static enum ckpt_status make_whole(struct mover *m, uint16_t id)
{
    struct room_part range = {.segment = id, .bytes = arena_segment_bytes(m->arena)};
    enum ckpt_status status = drop_parts(m, &range);
    return status == CKPT_OK && m->regions[id] == NULL ? register_memory(m, id) : status;
}

void mover_regions_shape(struct mover *m, struct work *work)
{
    enum ckpt_status status = CKPT_OK;
    bool is_new = false;
    if (work->plan.part.bytes > 0) {
        is_new = !arena_part_is_there(m->arena, work->segments[0], &work->plan.part);
        status = is_new ? make_part(m, work->segments[0], &work->plan.part) : CKPT_OK;
    }
    for (uint32_t i = 0;
         work->plan.part.bytes == 0 && i < work->plan.segment_count && status == CKPT_OK; i++) {
        status = make_whole(m, work->segments[i]);
    }
    if (status != CKPT_OK) {
        work_fail(work, status);
    }
    if (is_new || status != CKPT_OK) {
        work_release(work);
    } else {
        digester_add(m->digester, work);
    }
}

void mover_regions_renew(struct mover *m, struct work *work)
{
    for (uint32_t i = 0; i < work->wanting_count; i++) {
        uint32_t id = work->wanting[i];
        enum ckpt_status status = deregister(m, id);
        if (status == CKPT_OK) {
            status = arena_segment_repair(m->arena, id);
        }
        if (status == CKPT_OK) {
            status = register_memory(m, id);
        }
        if (status != CKPT_OK) {
            work_fail(work, status);
        }
    }
    work_release(work);
}

void mover_regions_revoke(struct mover *m, const uint16_t *segments, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct transport_region *region = m->regions[segments[i]];
        if (region != NULL && region->generation != NULL) {
            (void)transport_revoke(region, *region->generation + 1);
        }
    }
}

void mover_regions_offer(struct mover *m, struct offer_reply *reply)
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
