/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/notes.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"

void note_fields(const struct machine_note *note, const char *node, char out[NOTE_FIELDS_BYTES])
{
    const char *where = note->node[0] != '\0' ? note->node : node;
    int used = 0;
    out[0] = '\0';
    if (note->run.name[0] != '\0') {
        used += snprintf(out + used, (size_t)(NOTE_FIELDS_BYTES - used),
                         " run=%s uid=%" PRIu32 " attempt=%" PRIu32 " step=%" PRIu64,
                         LOG_QUOTED(note->run.name), note->run.uid, note->attempt, note->step);
    }
    if (note->has_shard) {
        used +=
            snprintf(out + used, (size_t)(NOTE_FIELDS_BYTES - used), " rank=%" PRIu32, note->rank);
    }
    if (where != NULL) {
        used += snprintf(out + used, (size_t)(NOTE_FIELDS_BYTES - used), " node=%s", where);
    }
    if (note->text[0] != '\0') {
        used += snprintf(out + used, (size_t)(NOTE_FIELDS_BYTES - used), " text=%s",
                         LOG_QUOTED(note->text));
    }
    assert(used < NOTE_FIELDS_BYTES);
}

void notes_log(struct notes *notes, const struct machine_note *list, uint32_t count, uint32_t lost,
               const char *node)
{
    for (uint32_t i = 0; i < count; i++) {
        char fields[NOTE_FIELDS_BYTES];
        note_fields(&list[i], node, fields);
        notes->counts[list[i].event]++;
        log_event(list[i].event, "source=machine%s", fields);
    }
    if (lost > 0) {
        notes->counts[EVENT_notes_lost]++;
        log_event(EVENT_notes_lost, "count=%" PRIu32, lost);
    }
}
