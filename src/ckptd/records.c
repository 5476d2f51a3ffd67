/* SPDX-License-Identifier: Apache-2.0 */
/* Slot records between the machine and the arena.
 *
 *   machine      arena
 *   FREE         FREE
 *   FILLING      FILLING
 *   SEALED       SEALED
 *   VERIFIED     SEALED (owner's) or HELD, with the digest
 *   ADOPTED      as it was found
 *   PULLING      PULLING; so is a reader's cached copy, which nobody needs after a restart
 *   DIRTY        DIRTY */
#include "ckptd/daemon.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault_point.h"
#include "base/log.h"

static enum arena_slot_state arena_state(const struct slot_record *record)
{
    switch (record->state) {
    case SLOT_FREE:
        return ARENA_SLOT_FREE;
    case SLOT_FILLING:
        return ARENA_SLOT_FILLING;
    case SLOT_SEALED:
        return ARENA_SLOT_SEALED;
    case SLOT_PULLING:
        return ARENA_SLOT_PULLING;
    case SLOT_ADOPTED:
    case SLOT_VERIFIED:
        return record->cached  ? ARENA_SLOT_PULLING
               : record->owner ? ARENA_SLOT_SEALED
                               : ARENA_SLOT_HELD;
    case SLOT_DIRTY:
        return ARENA_SLOT_DIRTY;
    }
    return ARENA_SLOT_DIRTY;
}

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

enum ckpt_status records_store(struct daemon *d, const struct slot_record *record)
{
    struct arena_record stored = {
        .slot = record->slot, .state = arena_state(record), .generation = record->generation};
    if (stored.state != ARENA_SLOT_FREE) {
        stored.uid = record->shard.run.uid;
        strcpy(stored.run, record->shard.run.name);
        stored.attempt = record->shard.attempt;
        stored.seat = record->seat;
        stored.name = record->name;
        stored.insisted = record->insisted;
        stored.step = record->shard.step;
        stored.rank = record->shard.rank;
        stored.world = record->world;
        stored.copies = record->copies;
        stored.bytes = record->bytes;
        stored.owner = record->owner;
        stored.has_digest = record->has_digest;
        if (record->has_digest) {
            memcpy(stored.digest, record->digest.bytes, sizeof stored.digest);
        }
        stored.segment_count = record->segment_count;
        memcpy(stored.segments, record->segments, record->segment_count * sizeof(uint16_t));
        stored.part = record->part;
    }
    return arena_record_store(d->arena, record->slot, &stored);
}

static void adopt(void *context, uint32_t slot, enum ckpt_status status,
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
    daemon_event(d, &event);
    FAULT_POINT(agent_adopt_slot);
}

void records_adopt(struct daemon *d)
{
    uint32_t refused = arena_inventory(d->arena, adopt, d);
    struct agent_event end = {.type = AGENT_ADOPT_END,
                              .epoch = arena_epoch(d->arena),
                              .cluster = arena_cluster(d->arena)};
    if (refused > 0) {
        log_event(EVENT_slots_refused, "count=%u", refused);
    }
    daemon_event(d, &end);
    uint32_t slots = 0;
    struct agent_slot_view view;
    for (uint32_t i = 0; agent_slot_view(d->machine, i, &view); i++) {
        slots += view.state == SLOT_ADOPTED;
    }
    log_event(EVENT_adopted, "slots=%u segments_free=%u", slots, agent_segments_free(d->machine));
}
