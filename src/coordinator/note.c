/* SPDX-License-Identifier: Apache-2.0 */
/* What people hear: one line of the log, of whom it is, and why. */
#include "coordinator/note.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void coordinator_note(struct coordinator *c, enum event_id event, struct about about,
                      const char *format, ...)
{
    struct coordinator_update *update = c->update;
    assert(update != NULL);
    if (update->note_count == COORDINATOR_NOTES_MAX) {
        update->notes_lost++;
        update->note_count--;
    }
    struct machine_note *note = &update->notes[update->note_count++];
    memset(note, 0, sizeof *note);
    note->event = event;
    note->has_shard = about.has_rank;
    note->attempt = about.attempt;
    note->step = about.step;
    note->rank = about.rank;
    if (about.run != NULL) {
        note->run = *about.run;
    }
    if (about.node != NULL) {
        strcpy(note->node, about.node);
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(note->text, sizeof note->text, format, arguments);
    va_end(arguments);
}
