/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine wants people to see: a line of the log each, and a count by event. */
#ifndef CKPT_DAEMON_NOTES_H
#define CKPT_DAEMON_NOTES_H

#include "wire/note.h"

struct notes {
    uint64_t counts[EVENT_COUNT]; /* since the daemon started */
};

/* As much as the fields of a note can be long. */
#define NOTE_FIELDS_BYTES 1024

/* Logs the notes of one update, and that `lost` more did not fit into it. A note that names no node
 * is `node`'s; NULL: nobody's. */
void notes_log(struct notes *notes, const struct machine_note *list, uint32_t count, uint32_t lost,
               const char *node);

/* " run=... uid=... attempt=... step=... rank=... node=... text=...", each where it applies. */
void note_fields(const struct machine_note *note, const char *node, char out[NOTE_FIELDS_BYTES]);

#endif
