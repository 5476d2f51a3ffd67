/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/adopt.h"

#include "arena/arena.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "ckptd/turn.h"

static void adopt_one(void *context, uint32_t slot, enum ckpt_status status,
                      const struct slot_record *stored, const char *reason)
{
    struct daemon *d = context;
    struct slot_record refused = {.slot = slot};
    struct agent_event event = {.type = AGENT_ADOPT, .record = stored};
    if (status == CKPT_ERR_NOT_FOUND) {
        return;
    }
    if (status != CKPT_OK) {
        refused.generation = arena_generation_floor(d->arena) + 1; /* what the arena takes there */
        event.record = &refused;
        event.corrupt = true;
        log_event(EVENT_slot_record_refused, "slot=%u reason=%s", slot, LOG_QUOTED(reason));
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
