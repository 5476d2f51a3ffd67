/* SPDX-License-Identifier: Apache-2.0 */
/* What ranks and readers hear of their loads, and how a load ends. */
#include "coordinator/verdict.h"

#include "coordinator/restore_state.h"
#include "coordinator/table.h"
#include "coordinator/update.h"

void send_verdict(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                  const struct message_load_ask *ask, enum ckpt_status status, const char *reason,
                  const struct shard *s)
{
    if (!c->members[member].connected) {
        return; /* it asks again */
    }
    struct message *m = update_message(c, u, c->members[member].link, MESSAGE_LOAD_VERDICT);
    struct message_load_verdict *v = &m->load_verdict;
    v->run = ask->run;
    v->attempt = ask->attempt;
    v->start = ask->start;
    v->asking_rank = ask->asking_rank;
    v->collective = ask->collective;
    v->load = ask->load;
    v->reader = ask->reader;
    v->status = status;
    say(v->reason, "%s", reason);
    if (s != NULL) {
        shard_key_of(c, s, &v->shard);
    }
}

void send_waits(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                const struct message_load_ask *ask, const char *reason)
{
    const struct member *to = &c->members[member];
    if (!to->connected || (to->features & WIRE_FEATURE_ROOM) == 0 || !update_has_room(u, 1)) {
        return;
    }
    struct message_load_waits *w = &update_message(c, u, to->link, MESSAGE_LOAD_WAITS)->load_waits;
    w->run = ask->run;
    w->attempt = ask->attempt;
    w->start = ask->start;
    w->asking_rank = ask->asking_rank;
    w->collective = ask->collective;
    w->load = ask->load;
    w->reader = ask->reader;
    say(w->reason, "%s", reason);
}

const struct checkpoint *run_newest_quarantined(const struct coordinator *c, const struct run *run)
{
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
    if (status == CKPT_OK || status == CKPT_ERR_WORLD ||
        (status == CKPT_ERR_NO_CHECKPOINT && run_newest_quarantined(c, run) == NULL)) {
        return EVENT_restore_verdict;
    }
    return status == CKPT_ERR_LOST || status == CKPT_ERR_NO_CHECKPOINT ? EVENT_restore_lost
                                                                       : EVENT_restore_refused;
}

void restore_end(struct coordinator *c, struct coordinator_update *u, struct run *run,
                 enum ckpt_status status, const char *reason)
{
    struct session *e = &run->session;
    e->state = SESSION_ENDED;
    e->status = status;
    run->begun = true;
    run->active_ms = c->now_ms;
    say(e->reason, "%s", reason);
    e->verdicts_due = e->checkpoint != NONE;
    e->verdict_rank = 0;
    session_stirs(c, run);
    struct machine_note *note = update_note(u, event_of_verdict(c, run, status));
    note->run = run->key;
    note->attempt = e->attempt;
    if (e->checkpoint != NONE) {
        note->step = c->checkpoints[e->checkpoint].step;
    }
    say(note->text, "load %u: %s%s%.200s", e->load, ckpt_status_name(status),
        reason[0] != '\0' ? ": " : "", reason);
    u->again = u->again || e->verdicts_due;
}
