/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded outputs of one turn. */
#include "agent/update.h"

#include <assert.h>
#include <string.h>

#include "agent/part.h"

/* A pump stops here and leaves the rest of the entries to what the turn may still have to say. */
#define MESSAGES_KEPT_FREE 4

/* The entries are large and only those below the counts are read: only the counts are cleared. */
void agent_update_begin(struct agent *a, struct agent_update *update)
{
    assert(a->update == NULL);
    assert(update != NULL);
    update->record_count = 0;
    update->work_count = 0;
    update->message_count = 0;
    update->note_count = 0;
    update->notes_lost = 0;
    update->deadline_ms = AGENT_NEVER;
    update->again = false;
    a->update = update;
}

struct agent_outgoing *agent_update_message(struct agent *a, enum agent_target target,
                                            uint32_t link, enum message_type type)
{
    struct agent_update *update = a->update;
    assert(update != NULL);
    if (update->message_count == AGENT_MESSAGES_MAX) {
        update->again = true;
        return NULL;
    }
    struct agent_outgoing *out = &update->messages[update->message_count++];
    memset(out, 0, sizeof(*out));
    out->target = target;
    out->link = link;
    out->attach = ATTACH_NONE;
    out->attach_slot = NONE;
    out->message.type = type;
    out->message.epoch = a->epoch;
    return out;
}

struct agent_work *agent_update_work(struct agent *a, enum agent_work_type type)
{
    struct agent_update *update = a->update;
    assert(update != NULL);
    if (update->work_count == AGENT_WORKS_MAX) {
        update->again = true;
        return NULL;
    }
    struct agent_work *work = &update->works[update->work_count++];
    memset(work, 0, sizeof(*work));
    work->type = type;
    work->slot = NONE;
    return work;
}

static void fill_record(const struct agent *a, const struct slot *slot, uint32_t index,
                        struct slot_record *record)
{
    assert(index < a->config.slots);
    memset(record, 0, sizeof(*record));
    record->slot = index;
    record->state = slot->state;
    record->generation = slot->generation;
    if (slot->state == SLOT_FREE) {
        return;
    }
    record->shard = slot->shard;
    record->seat = slot->seat;
    record->name = slot->name;
    record->insisted = slot->insisted;
    record->world = slot->world;
    record->copies = slot->copies;
    record->bytes = slot->bytes;
    record->owner = slot->owner;
    record->cached = slot->cached;
    record->has_digest = slot->has_digest;
    record->digest = slot->digest;
    record->digest_key = slot->digest_key;
    record->segment_count = slot->segment_count;
    memcpy(record->segments, slot->segments, slot->segment_count * sizeof(uint16_t));
    record->part = agent_slot_part(a, slot);
}

/* Records are stored in their order, so that segments are never in two records: an entry is only
 * written over when it is the last. */
bool agent_update_record(struct agent *a, uint32_t slot)
{
    assert(slot < a->slots_high);
    struct agent_update *update = a->update;
    assert(update != NULL);
    assert(slot < a->config.slots);
    struct slot *s = &a->slots[slot];
    uint32_t count = update->record_count;
    if (count > 0 && update->records[count - 1].slot == slot) {
        count--;
    } else if (count == AGENT_RECORDS_MAX) {
        s->record_pending = true;
        update->again = true;
        return false;
    }
    fill_record(a, s, slot, &update->records[count]);
    update->record_count = count + 1;
    a->is_marked = true;
    s->record_pending = false;
    return true;
}

void agent_update_records_pump(struct agent *a)
{
    assert(a->update != NULL);
    for (uint32_t i = 0; i < a->slots_high; i++) {
        if (a->slots[i].record_pending && !agent_update_record(a, i)) {
            return;
        }
    }
}

bool agent_update_has_room(const struct agent *a)
{
    assert(a->update != NULL);
    struct agent_update *update = a->update;
    if (update->record_count < AGENT_RECORDS_MAX && update->work_count + 1 < AGENT_WORKS_MAX &&
        update->message_count + MESSAGES_KEPT_FREE <= AGENT_MESSAGES_MAX) {
        return true;
    }
    update->again = true;
    return false;
}

void agent_update_deadline(struct agent *a, uint64_t at_ms)
{
    assert(a->update != NULL);
    if (at_ms < a->update->deadline_ms) {
        a->update->deadline_ms = at_ms;
    }
}
