/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out of a checkpoint: to every agent, and on record. */
#include "coordinator/announce.h"

#include <assert.h>

#include "base/reason.h"
#include "coordinator/update.h"

void coordinator_checkpoint_broadcast(struct coordinator *c, const struct checkpoint *k,
                                      enum checkpoint_state state)
{
    assert(k->used);
    struct message *m =
        coordinator_update_message(c, COORDINATOR_LINK_ALL, MESSAGE_CHECKPOINT_STATE);
    m->checkpoint_state.run = c->runs[k->run].key;
    m->checkpoint_state.attempt = k->attempt;
    m->checkpoint_state.step = k->step;
    m->checkpoint_state.world = k->world;
    m->checkpoint_state.state = state;
    m->checkpoint_state.status = state == CHECKPOINT_ABORTED ? k->status : CKPT_OK;
    reason_set(m->checkpoint_state.reason, "%s", state == CHECKPOINT_ABORTED ? k->reason : "");
}

void coordinator_checkpoint_tell_waiting(struct coordinator *c, const struct checkpoint *k)
{
    assert(k->used);
    struct message *m =
        coordinator_update_message(c, COORDINATOR_LINK_ALL, MESSAGE_CHECKPOINT_STATE);
    m->checkpoint_state.run = c->runs[k->run].key;
    m->checkpoint_state.attempt = k->attempt;
    m->checkpoint_state.step = k->step;
    m->checkpoint_state.world = k->world;
    m->checkpoint_state.state = (enum checkpoint_state)k->state;
    m->checkpoint_state.status = k->status;
    reason_set(m->checkpoint_state.reason, "%u of %u ranks sealed, %u with all copies%s%.160s",
               k->sealed, k->world, k->ready, k->reason[0] != '\0' ? "; " : "", k->reason);
}

struct coordinator_record *coordinator_checkpoint_record(struct coordinator *c,
                                                         const struct checkpoint *k,
                                                         enum coordinator_record_type type)
{
    assert(k->used);
    struct coordinator_record *record = coordinator_update_record(c, type);
    record->run = c->runs[k->run].key;
    record->attempt = k->attempt;
    record->step = k->step;
    record->world = k->world;
    record->copies = k->copies;
    record->bytes = k->bytes;
    return record;
}
