/* SPDX-License-Identifier: Apache-2.0 */
/* What is told to the log, in the words of one line. */
#include "agent/note.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void agent_note(struct agent *a, enum event_id event, const struct shard_key *shard,
                const char *format, ...)
{
    assert(a->update != NULL);
    assert(format != NULL);
    struct agent_update *update = a->update;
    if (update->note_count == AGENT_NOTES_MAX) {
        update->notes_lost++;
        return;
    }
    struct machine_note *note = &update->notes[update->note_count++];
    memset(note, 0, sizeof(*note));
    note->event = event;
    memcpy(note->node, a->config.node, sizeof(note->node));
    if (shard != NULL) {
        note->has_shard = true;
        note->run = shard->run;
        note->attempt = shard->attempt;
        note->step = shard->step;
        note->rank = shard->rank;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(note->text, sizeof(note->text), format, arguments);
    va_end(arguments);
}
