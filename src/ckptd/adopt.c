/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/adopt.h"

#include <string.h>

#include "arena/arena.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "ckptd/turn.h"

static enum slot_state machine_state(enum arena_slot_state state, bool has_digest)
{
    switch (state) {
    case ARENA_SLOT_FREE:
        return SLOT_FREE;
    case ARENA_SLOT_FILLING:
        return SLOT_FILLING;
    case ARENA_SLOT_SEALED:
        return has_digest ? SLOT_VERIFIED : SLOT_SEALED;
    case ARENA_SLOT_PULLING:
        return SLOT_PULLING;
    case ARENA_SLOT_HELD:
        return SLOT_VERIFIED;
    case ARENA_SLOT_DIRTY:
        return SLOT_DIRTY;
    }
    return SLOT_DIRTY;
}

static void adopt_one(void *context, uint32_t slot, enum ckpt_status status,
                      const struct arena_record *stored, const char *reason)
{
    struct daemon *d = context;
    struct slot_record record = {.slot = slot};
    if (status == CKPT_ERR_NOT_FOUND) {
        return;
    }
    struct agent_event event = {.type = AGENT_ADOPT, .record = &record};
    if (status != CKPT_OK) {
        event.corrupt = true;
        record.generation = arena_generation_floor(d->arena) + 1; /* what the arena takes there */
        log_event(EVENT_slot_record_refused, "slot=%u reason=%s", slot, LOG_QUOTED(reason));
    } else {
        record.state = machine_state(stored->state, stored->has_digest);
        record.generation = stored->generation;
        record.shard.run.uid = stored->uid;
        strcpy(record.shard.run.name, stored->run);
        record.shard.attempt = stored->attempt;
        record.seat = stored->seat;
        record.name = stored->name;
        record.insisted = stored->insisted;
        record.shard.step = stored->step;
        record.shard.rank = stored->rank;
        record.world = stored->world;
        record.copies = stored->copies;
        record.bytes = stored->bytes;
        record.owner = stored->owner;
        record.has_digest = stored->has_digest;
        memcpy(record.digest.bytes, stored->digest, sizeof record.digest.bytes);
        record.segment_count = stored->segment_count;
        memcpy(record.segments, stored->segments, stored->segment_count * sizeof(uint16_t));
        record.part = stored->part;
    }
    turn_event(d, &event);
    FAULT_POINT(agent_adopt_slot);
}

void adopt_all(struct daemon *d)
{
    uint32_t refused = arena_inventory(d->arena, adopt_one, d);
    struct agent_event end = {.type = AGENT_ADOPT_END,
                              .epoch = arena_epoch(d->arena),
                              .cluster = arena_cluster(d->arena)};
    if (refused > 0) {
        log_event(EVENT_slots_refused, "count=%u", refused);
    }
    turn_event(d, &end);
    uint32_t slots = 0;
    struct agent_slot_view view;
    for (uint32_t i = 0; agent_slot_view(d->machine, i, &view); i++) {
        slots += view.state == SLOT_ADOPTED;
    }
    log_event(EVENT_adopted, "slots=%u segments_free=%u", slots, agent_segments_free(d->machine));
}
