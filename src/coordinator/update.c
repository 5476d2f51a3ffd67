/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded outputs of one turn. */
#include "coordinator/update.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"

/* The entries are large and only those below the counts are read: only the counts are cleared. */
void coordinator_update_begin(struct coordinator *c, struct coordinator_update *update)
{
    assert(c->update == NULL && update != NULL);
    update->record_count = 0;
    update->message_count = 0;
    update->note_count = 0;
    update->notes_lost = 0;
    update->again = false;
    update->read_first = false;
    update->step_down = false;
    update->secret_used = false;
    update->admin_status = CKPT_OK;
    update->admin_more = false;
    update->admin_reason[0] = '\0';
    c->update = update;
}

bool coordinator_update_has_room(const struct coordinator *c, uint32_t messages)
{
    return c->update->message_count + messages + 2 <= COORDINATOR_MESSAGES_MAX;
}

struct message *coordinator_update_message(struct coordinator *c, uint32_t link,
                                           enum message_type type)
{
    assert(c->update->message_count < COORDINATOR_MESSAGES_MAX);
    struct coordinator_outgoing *out = &c->update->messages[c->update->message_count++];
    memset(out, 0, sizeof *out);
    out->link = link;
    out->message.type = type;
    out->message.epoch = c->epoch;
    return &out->message;
}

void coordinator_update_close(struct coordinator *c, uint32_t link)
{
    assert(c->update->message_count < COORDINATOR_MESSAGES_MAX);
    struct coordinator_outgoing *out = &c->update->messages[c->update->message_count++];
    memset(out, 0, sizeof *out);
    out->link = link;
    out->close = true;
}

struct coordinator_record *coordinator_update_record(struct coordinator *c,
                                                     enum coordinator_record_type type)
{
    assert(c->update->record_count < COORDINATOR_RECORDS_MAX);
    struct coordinator_record *record = &c->update->records[c->update->record_count++];
    memset(record, 0, sizeof *record);
    record->type = type;
    record->epoch = c->epoch;
    return record;
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
