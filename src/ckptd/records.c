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
#include "ckptd/records.h"

#include <string.h>

#include "arena/arena.h"

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
