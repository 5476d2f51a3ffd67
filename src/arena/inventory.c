/* SPDX-License-Identifier: Apache-2.0 */
/* What a restarted agent may believe of the records it finds. */
#include <stdlib.h>
#include <string.h>

#include "arena/inside.h"

#define NOBODY UINT32_MAX

/* For each segment the first two slots whose records claim it. */
struct claims {
    uint32_t first[CKPT_ARENA_SEGMENTS_MAX];
    uint32_t second[CKPT_ARENA_SEGMENTS_MAX];
};

static void collect(struct arena *arena, struct claims *claims)
{
    memset(claims, 0xff, sizeof *claims);
    for (uint32_t slot = 0; slot < arena->slot_count; slot++) {
        struct arena_record record;
        if (arena_record_load(arena, slot, &record, NULL) != CKPT_OK) {
            continue;
        }
        for (uint32_t i = 0; i < record.segment_count; i++) {
            uint32_t id = record.segments[i];
            if (claims->first[id] == NOBODY) {
                claims->first[id] = slot;
            } else if (claims->second[id] == NOBODY) {
                claims->second[id] = slot;
            }
        }
    }
}

static bool judge(struct arena *arena, const struct claims *claims,
                  const struct arena_record *record, char reason[ARENA_REASON_BYTES])
{
    for (uint32_t i = 0; i < record->segment_count; i++) {
        uint16_t id = record->segments[i];
        if (id >= arena->segment_count) {
            arena_explain(reason, "slot %u claims segment %u, which the arena does not have",
                          record->slot, id);
            return false;
        }
        if (claims->second[id] != NOBODY) {
            uint32_t other =
                claims->first[id] == record->slot ? claims->second[id] : claims->first[id];
            arena_explain(reason, "slot %u and slot %u both claim segment %u; neither is believed",
                          record->slot, other, id);
            return false;
        }
        if (atomic_load(&arena->segments[id].made_new)) {
            arena_explain(reason,
                          "slot %u claims segment %u, whose file was missing or not whole and was "
                          "made anew",
                          record->slot, id);
            return false;
        }
        if (arena_segments_check(arena, &id, 1) != CKPT_OK) {
            arena_explain(reason, "slot %u claims segment %u, which lost pages", record->slot, id);
            return false;
        }
    }
    if (record->bytes > record->segment_count * arena->segment_bytes &&
        record->state != ARENA_SLOT_FREE) {
        arena_explain(reason, "slot %u claims %llu bytes in %u segments", record->slot,
                      (unsigned long long)record->bytes, record->segment_count);
        return false;
    }
    return true;
}

uint32_t arena_inventory(struct arena *arena, arena_inventory_fn visit, void *context)
{
    struct claims claims;
    collect(arena, &claims);
    uint32_t refused = 0;
    for (uint32_t slot = 0; slot < arena->slot_count; slot++) {
        struct arena_record record;
        char reason[ARENA_REASON_BYTES] = "";
        enum ckpt_status status = arena_record_load(arena, slot, &record, reason);
        bool whole = status == CKPT_OK;
        if (whole && !judge(arena, &claims, &record, reason)) {
            status = CKPT_ERR_CORRUPT;
        }
        if (status != CKPT_OK && status != CKPT_ERR_NOT_FOUND) {
            refused++;
        }
        visit(context, slot, status, whole ? &record : NULL, reason);
    }
    return refused;
}
