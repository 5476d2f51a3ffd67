/* SPDX-License-Identifier: Apache-2.0 */
/* What ranks and readers hear of their loads, and how a load ends. */
#include "coordinator/verdict.h"

#include <assert.h>

#include "base/reason.h"
#include "coordinator/note.h"
#include "coordinator/restore_state.h"
#include "coordinator/table.h"
#include "coordinator/update.h"

struct message_load_verdict *coordinator_send_verdict(struct coordinator *c, uint32_t member,
                                                      const struct message_load_ask *ask,
                                                      enum ckpt_status status, const char *reason,
                                                      const struct shard *s)
{
    assert(member < c->member_count);
    if (!c->members[member].connected) {
        return NULL;
    }
    struct message *m =
        coordinator_update_message(c, c->members[member].link, MESSAGE_LOAD_VERDICT);
    struct message_load_verdict *v = &m->load_verdict;
    v->run = ask->run;
    v->attempt = ask->attempt;
    v->start = ask->start;
    v->asking_rank = ask->asking_rank;
    v->collective = ask->collective;
    v->load = ask->load;
    v->reader = ask->reader;
    v->status = status;
    reason_set(v->reason, "%s", reason);
    if (s != NULL) {
        coordinator_shard_key(c, s, &v->shard);
    }
    return v;
}

void coordinator_send_waits(struct coordinator *c, uint32_t member,
                            const struct message_load_ask *ask, const char *reason)
{
    assert(member < c->member_count);
    const struct member *to = &c->members[member];
    if (!to->connected || (to->features & WIRE_FEATURE_ROOM) == 0 ||
        !coordinator_update_has_room(c, 1)) {
        return;
    }
    struct message_load_waits *w =
        &coordinator_update_message(c, to->link, MESSAGE_LOAD_WAITS)->load_waits;
    w->run = ask->run;
    w->attempt = ask->attempt;
    w->start = ask->start;
    w->asking_rank = ask->asking_rank;
    w->collective = ask->collective;
    w->load = ask->load;
    w->reader = ask->reader;
    reason_set(w->reason, "%s", reason);
}

const struct checkpoint *coordinator_run_newest_quarantined(const struct coordinator *c,
                                                            const struct run *run)
{
    assert(run->used);
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        if (c->checkpoints[i].state == CHECKPOINT_QUARANTINED) {
            return &c->checkpoints[i];
        }
    }
    return NULL;
}

/* Where nothing was ever saved, "nothing" is the answer that a first start waits for; "of another
 * world" that of a resize, which goes on to read the shards one by one. */
static enum event_id event_of_verdict(const struct coordinator *c, const struct run *run,
                                      enum ckpt_status status)
{
    assert(run->used);
    if (status == CKPT_OK || status == CKPT_ERR_WORLD ||
        (status == CKPT_ERR_NO_CHECKPOINT && coordinator_run_newest_quarantined(c, run) == NULL)) {
        return EVENT_restore_verdict;
    }
    return status == CKPT_ERR_LOST || status == CKPT_ERR_NO_CHECKPOINT ? EVENT_restore_lost
                                                                       : EVENT_restore_refused;
}

void coordinator_restore_end(struct coordinator *c, struct run *run, enum ckpt_status status,
                             const char *reason)
{
    assert(run->used);
    struct restore *restore = &run->restore;
    assert(status != CKPT_OK || restore->checkpoint != NONE);
    restore->status = status;
    restore->asked_ms = c->now_ms;
    run->begun = true;
    run->active_ms = c->now_ms;
    reason_set(restore->reason, "%s", reason);
    restore->verdicts_due = restore->checkpoint != NONE;
    restore->verdict_rank = 0;
    coordinator_restore_move(c, run, RESTORE_ENDED);
    bool has_step = restore->checkpoint != NONE;
    struct about about = about_run(run, has_step ? c->checkpoints[restore->checkpoint].step : 0);
    about.attempt = restore->attempt;
    coordinator_note(c, event_of_verdict(c, run, status), about, "load %u: %s%s%.200s",
                     restore->load, ckpt_status_name(status), reason[0] != '\0' ? ": " : "",
                     reason);
    c->update->again = c->update->again || restore->verdicts_due;
}
