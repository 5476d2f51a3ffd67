/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out of a checkpoint: to every agent, on record, to people. */
#include "coordinator/announce.h"

#include "coordinator/update.h"

void checkpoint_broadcast(struct coordinator *c, struct coordinator_update *u,
                          const struct checkpoint *k, enum checkpoint_state state)
{
    struct message *m = update_message(c, u, COORDINATOR_LINK_ALL, MESSAGE_CHECKPOINT_STATE);
    m->checkpoint_state.run = c->runs[k->run].key;
    m->checkpoint_state.attempt = k->attempt;
    m->checkpoint_state.step = k->step;
    m->checkpoint_state.world = k->world;
    m->checkpoint_state.state = state;
    m->checkpoint_state.status = state == CHECKPOINT_ABORTED ? k->status : CKPT_OK;
    say(m->checkpoint_state.reason, "%s", state == CHECKPOINT_ABORTED ? k->reason : "");
}

void checkpoint_tell_waiting(struct coordinator *c, struct coordinator_update *u,
                             const struct checkpoint *k)
{
    struct message *m = update_message(c, u, COORDINATOR_LINK_ALL, MESSAGE_CHECKPOINT_STATE);
    m->checkpoint_state.run = c->runs[k->run].key;
    m->checkpoint_state.attempt = k->attempt;
    m->checkpoint_state.step = k->step;
    m->checkpoint_state.world = k->world;
    m->checkpoint_state.state = (enum checkpoint_state)k->state;
    m->checkpoint_state.status = k->status;
    say(m->checkpoint_state.reason, "%u of %u ranks sealed, %u with all copies%s%.160s", k->sealed,
        k->world, k->ready, k->reason[0] != '\0' ? "; " : "", k->reason);
}

struct coordinator_record *checkpoint_record(struct coordinator *c, struct coordinator_update *u,
                                             const struct checkpoint *k,
                                             enum coordinator_record_type type)
{
    struct coordinator_record *record = update_record(c, u, type);
    record->run = c->runs[k->run].key;
    record->attempt = k->attempt;
    record->step = k->step;
    record->world = k->world;
    record->copies = k->copies;
    record->bytes = k->bytes;
    return record;
}

struct machine_note *checkpoint_note(struct coordinator *c, struct coordinator_update *u,
                                     const struct checkpoint *k, enum event_id event)
{
    struct machine_note *note = update_note(u, event);
    note->run = c->runs[k->run].key;
    note->attempt = k->attempt;
    note->step = k->step;
    return note;
}
