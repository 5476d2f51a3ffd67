/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded outputs of one turn. */
#include "coordinator/update.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

void say(char *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, CKPT_REASON_MAX + 1, format, arguments);
    va_end(arguments);
}

bool update_has_room(const struct coordinator_update *u, uint32_t messages)
{
    return u->message_count + messages + 2 <= COORDINATOR_MESSAGES_MAX;
}

struct message *update_message(struct coordinator *c, struct coordinator_update *u, uint32_t link,
                               enum message_type type)
{
    assert(u->message_count < COORDINATOR_MESSAGES_MAX);
    struct coordinator_outgoing *out = &u->messages[u->message_count++];
    memset(out, 0, sizeof *out);
    out->link = link;
    out->message.type = type;
    out->message.epoch = c->epoch;
    return &out->message;
}

void update_close(struct coordinator_update *u, uint32_t link)
{
    assert(u->message_count < COORDINATOR_MESSAGES_MAX);
    struct coordinator_outgoing *out = &u->messages[u->message_count++];
    memset(out, 0, sizeof *out);
    out->link = link;
    out->close = true;
}

struct coordinator_record *update_record(struct coordinator *c, struct coordinator_update *u,
                                         enum coordinator_record_type type)
{
    assert(u->record_count < COORDINATOR_RECORDS_MAX);
    struct coordinator_record *record = &u->records[u->record_count++];
    memset(record, 0, sizeof *record);
    record->type = type;
    record->epoch = c->epoch;
    return record;
}

struct machine_note *update_note(struct coordinator_update *u, enum event_id event)
{
    /* A lost note still leaves the last one to write to: nobody has to test for NULL. */
    if (u->note_count == COORDINATOR_NOTES_MAX) {
        u->notes_lost++;
        u->note_count--;
    }
    struct machine_note *note = &u->notes[u->note_count++];
    memset(note, 0, sizeof *note);
    note->event = event;
    return note;
}

void coordinator_record_name(struct coordinator_record *record, const struct nonce *name)
{
    record->step = load_le64(name->bytes);
    record->bytes = load_le64(name->bytes + 8);
}

struct nonce coordinator_record_named(const struct coordinator_record *record)
{
    struct nonce name;
    store_le64(name.bytes, record->step);
    store_le64(name.bytes + 8, record->bytes);
    return name;
}
