/* SPDX-License-Identifier: Apache-2.0 */
/* One verdict for all ranks of a load.
 *
 *   CHOOSING --a step is fit--> PULLING --all ranks asked, all copies digested anew--> ENDED (ok)
 *      ^                          |  a shard without a source, restore_passes times
 *      |__ the next older step ___|                                     ENDED (error), for all
 *
 * Nobody gets a byte before everybody can: the verdict goes out when the last rank's copy, in the
 * memory of that rank's own agent, has been digested after the ask and found equal to the committed
 * digest. Asks are repeated by the agents until answered, so an ask that comes while choosing is
 * not kept. A failed pull makes its rank ask-able again: the next repeat of the ask orders it
 * anew. */
#include "coordinator/state.h"

#include <assert.h>
#include <string.h>

#include "base/planted_bug.h"

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

/* Whether a round of the clock may have something to do for it. */
bool session_waits(const struct session *e)
{
    return e->state == SESSION_CHOOSING || e->state == SESSION_PULLING ||
           (e->state == SESSION_ENDED && e->verdicts_due);
}

/* To be called wherever a session may have begun to wait. */
void session_stirs(struct coordinator *c, const struct run *run)
{
    index_set_put(&c->runs_loading, run_index(c, run), session_waits(&run->session));
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

/* Who waits for copies that are away hears for which. */
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

static bool is_asked(const struct session *e, const struct shard *s)
{
    return s->load_session == e->id && s->load_state != LOAD_NONE;
}

/* The verdict is on record before any rank hears it: a coordinator that starts anew in the middle
 * tells the other ranks the same step, though a newer one may have become consistent meanwhile. */
static void end_if_ready(struct coordinator *c, struct coordinator_update *u, struct run *run)
{
    struct session *e = &run->session;
    if (e->state != SESSION_PULLING || e->ready < e->world) {
        return;
    }
    if (u->record_count == COORDINATOR_RECORDS_MAX) {
        u->again = true; /* the tick goes on */
        return;
    }
    if (!e->decided) {
        struct coordinator_record *record = update_record(c, u, RECORD_VERDICT);
        record->run = run->key;
        record->attempt = run->verdict_attempt = e->attempt;
        record->step = run->verdict_step = c->checkpoints[e->checkpoint].step;
        record->bytes = run->verdict_load = e->load;
        run_pass_over(c, run, 0, run->verdict_step);
        e->decided = true; /* also for a rank that asks again, and finds its copy gone */
    }
    restore_end(c, u, run, CKPT_OK, "");
}

static void become_ready(struct coordinator *c, struct coordinator_update *u, struct run *run,
                         struct shard *s)
{
    struct session *e = &run->session;
    s->load_state = LOAD_READY;
    e->ready++;
    if (e->state == SESSION_PULLING) {
        end_if_ready(c, u, run);
    } else if (e->state == SESSION_ENDED && e->status == CKPT_OK) {
        e->verdicts_due = true; /* a rank that moved after the verdict */
        e->verdict_rank = s->rank < e->verdict_rank ? s->rank : e->verdict_rank;
        session_stirs(c, run);
        u->again = true;
    }
}

void restore_copy_verified(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                           struct copy *copy, uint64_t order)
{
    struct run *run = &c->runs[c->checkpoints[s->checkpoint].run];
    struct session *e = &run->session;
    if (order != 0 && e->state != SESSION_NONE && e->checkpoint == s->checkpoint &&
        s->load_session == e->id && s->load_state == LOAD_ASKED && s->load_member == copy->member &&
        s->load_order == order) {
        become_ready(c, u, run, s);
    }
}

void restore_copy_gone(struct coordinator *c, struct shard *s, uint32_t member)
{
    struct run *run = &c->runs[c->checkpoints[s->checkpoint].run];
    struct session *e = &run->session;
    if (e->state == SESSION_NONE || !is_asked(e, s) || s->load_member != member) {
        return;
    }
    bool untold = e->state == SESSION_ENDED && e->status == CKPT_OK && !e->told;
    if (s->load_state == LOAD_READY && (e->state == SESSION_PULLING || untold)) {
        assert(e->ready > 0);
        e->ready--;
        e->state = SESSION_PULLING; /* nobody has heard that all was well: it is not any more */
        e->verdicts_due = false;
        session_stirs(c, run);
    }
    s->load_state = LOAD_NONE;
}

/* Has the asking rank's agent make or digest its copy. */
static void ask_copy(struct coordinator *c, struct coordinator_update *u, struct run *run,
                     struct shard *s, uint32_t member)
{
    struct session *e = &run->session;
    struct copy *copy = copy_find(s, member);
    if (copy != NULL && copy->order_kind == ORDER_LET_GO) {
        order_stay(c, u, s, copy);
        s->load_order = copy->order;
    } else if (copy != NULL && copy->order_kind == ORDER_PULL) {
        /* A repair to this very node, or a reader's, is under way. Its agent may have had the bytes
         * all along, and its answer be of before the ask: with a new number it digests again. */
        order_renew(c, u, s, copy);
        s->load_order = copy->order;
    } else if (copy != NULL && copy->state == COPY_HELD) {
        return; /* its first digest is under way */
    } else if (copy != NULL && copy_is_good(s, copy) && PLANTED_BUG(RESTORE_UNVERIFIED)) {
        s->load_session = e->id;
        s->load_member = member;
        become_ready(c, u, run, s);
        return;
    } else if (PLANTED_BUG(VERDICT_NOT_HELD)) {
        s->load_session = e->id;
        s->load_member = member;
        become_ready(c, u, run, s);
        return;
    } else if (copy != NULL && copy->state == COPY_VERIFIED && !copy->bad) {
        /* A reader's cached copy does as well: it is digested anew like any other. */
        order_verify(c, u, s, copy);
        s->load_order = copy->order;
    } else {
        struct copy *source = shard_source(c, s, member);
        if (source == NULL) {
            restore_pass_failed(c, u, run, &c->checkpoints[s->checkpoint], s->rank);
            return;
        }
        e->waits[0] = '\0';
        if (!order_pull(c, u, s, member, source, PULL_RESTORE)) {
            return;
        }
        copy = copy_find(s, member);
        s->load_order = copy->order;
    }
    s->load_session = e->id;
    s->load_member = member;
    s->load_state = LOAD_ASKED;
}

static void register_ask(struct coordinator *c, struct coordinator_update *u, struct run *run,
                         uint32_t member, const struct message_load_ask *ask)
{
    struct session *e = &run->session;
    struct shard *s = shard_find(c, &c->checkpoints[e->checkpoint], ask->rank);
    assert(s != NULL);
    if (!is_asked(e, s)) {
        ask_copy(c, u, run, s, member);
        return;
    }
    if (s->load_member != member) {
        /* Of a start with a name it has the rank's seat: the process before has left it. */
        if (c->members[s->load_member].state == MEMBER_JOINED && e->state == SESSION_PULLING &&
            nonce_is_zero(&ask->start)) {
            send_verdict(c, u, member, ask, CKPT_ERR_RANK,
                         "another node restores the same rank in the same load", NULL);
            return;
        }
        restore_copy_gone(c, s, s->load_member);
        s->load_state = LOAD_NONE;
        ask_copy(c, u, run, s, member);
        return;
    }
    if (s->load_state == LOAD_ASKED) {
        struct copy *copy = copy_find(s, member);
        if (copy == NULL || copy->order != s->load_order || copy->order_kind == ORDER_NONE) {
            /* Another order took its place, or failed without a word of this session. */
            s->load_state = LOAD_NONE;
            ask_copy(c, u, run, s, member);
        } else if (order_is_stale(c, copy)) {
            order_resend(c, u, s, copy);
            s->load_order = copy->member == member ? copy->order : 0;
        }
    } else if (e->state == SESSION_ENDED) {
        e->told = true;
        send_verdict(c, u, member, ask, CKPT_OK, "", s);
        s->load_state = LOAD_ANSWERED;
    }
}

static void session_start(struct coordinator *c, struct run *run,
                          const struct message_load_ask *ask)
{
    run->session = (struct session){.state = SESSION_CHOOSING,
                                    .id = c->next_session++,
                                    .attempt = ask->attempt,
                                    .load = ask->load,
                                    .world = ask->world,
                                    .step_wanted = ask->step,
                                    .started_ms = c->now_ms,
                                    .settle_ms = c->now_ms + c->config.restore_settle_ms,
                                    .decided = ask->attempt == run->verdict_attempt &&
                                               ask->load == run->verdict_load,
                                    .checkpoint = NONE};
    session_stirs(c, run);
}

static void collective_ask(struct coordinator *c, struct coordinator_update *u, struct run *run,
                           uint32_t member, const struct message_load_ask *ask)
{
    struct session *e = &run->session;
    bool none = e->state == SESSION_NONE;
    uint32_t attempt = none ? run->verdict_attempt : e->attempt;
    uint32_t load = none ? run->verdict_load : e->load;
    bool older = ask->attempt < attempt || (ask->attempt == attempt && ask->load < load);
    bool newer = ask->attempt > attempt || (ask->attempt == attempt && ask->load > load);
    if (newer || (none && !older)) {
        session_start(c, run, ask);
    } else if (older) {
        send_verdict(c, u, member, ask, CKPT_ERR_STALE,
                     "a later load of this run has begun: start a new attempt", NULL);
        return;
    }
    if (ask->world != e->world || ask->step != e->step_wanted) {
        send_verdict(c, u, member, ask, CKPT_ERR_WORLD,
                     "other ranks of this load said another world or asked for another step", NULL);
        return;
    }
    if (PLANTED_BUG(MIXED_STEPS)) {
        on_fetch_ask(c, u, member, ask);
        return;
    }
    if (e->state == SESSION_CHOOSING && !nonce_is_zero(&ask->start) && !run_is_complete(c, run)) {
        return; /* nobody is told anything before all of the start are here: the ask comes again */
    }
    if (e->state == SESSION_CHOOSING) {
        restore_choose(c, u, run);
    }
    if (e->state == SESSION_ENDED && e->status != CKPT_OK) {
        send_verdict(c, u, member, ask, e->status, e->reason, NULL);
    } else if (e->state == SESSION_ENDED && e->checkpoint == NONE) {
        send_verdict(c, u, member, ask, CKPT_ERR_RETIRED,
                     "the checkpoint of this load was retired since: load again", NULL);
    } else if (e->state != SESSION_CHOOSING) {
        register_ask(c, u, run, member, ask);
    }
    if (session_waits(e) && e->waits[0] != '\0') {
        send_waits(c, u, member, ask, e->waits);
    }
}

static bool ask_is_valid(const struct message_load_ask *ask)
{
    /* A reader is of no world: it says 0. */
    return name_is_valid(ask->run.name, CKPT_RUN_NAME_MAX) && ask->world <= CKPT_WORLD_MAX &&
           (!ask->collective || (ask->rank < ask->world && ask->rank == ask->asking_rank &&
                                 (nonce_is_zero(&ask->start) || !nonce_is_zero(&ask->seat))));
}

/* Whether the rank asks for a start that may be answered: its seat is taken by the ask as well, as
 * this coordinator may know nothing of it yet. */
static bool is_seated(struct coordinator *c, struct coordinator_update *u, struct run *run,
                      uint32_t member, const struct message_load_ask *ask)
{
    const struct message_seat_ask seat = {.run = ask->run,
                                          .rank = ask->rank,
                                          .world = ask->world,
                                          .attempt = ask->attempt,
                                          .start = ask->start,
                                          .seat = ask->seat};
    char reason[CKPT_REASON_MAX + 1] = "";
    if (ask->attempt == 0 && run->attempt == 0) {
        return true; /* of before starts had names, and as then */
    }
    enum ckpt_status status = seat_confirm(c, u, run, member, &seat, reason);
    if (status != CKPT_OK && status != CKPT_ERR_BUSY) {
        send_verdict(c, u, member, ask, status, reason, NULL);
    }
    return status == CKPT_OK;
}

void on_load_ask(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                 const struct message_load_ask *ask)
{
    if (!ask_is_valid(ask)) {
        send_verdict(c, u, member, ask, CKPT_ERR_INVALID, "load with invalid values", NULL);
        return;
    }
    struct run *run = run_find(c, &ask->run);
    if (run == NULL && ask->collective) {
        run = run_add(c, &ask->run); /* its attempt voids what earlier ones may still report */
    }
    if (run == NULL) {
        send_verdict(c, u, member, ask, CKPT_ERR_NO_CHECKPOINT,
                     "the run has no consistent checkpoint", NULL);
        return;
    }
    run->touched_ms = c->now_ms;
    run->active_ms = c->now_ms;
    if (!ask->collective) {
        on_fetch_ask(c, u, member, ask);
        return;
    }
    if (is_seated(c, u, run, member, ask)) {
        collective_ask(c, u, run, member, ask);
    }
}

/* Processes that load again may have saved before they did, so that a commit says nothing of who
 * has its verdict: what they go back to stays until all of them have it or have given up. Of the
 * first load of an attempt, the next commit tells that every rank has gone on. */
static bool may_be_asked_again(const struct coordinator *c, const struct session *e)
{
    return e->status == CKPT_OK && e->load > 1 &&
           c->now_ms < e->started_ms + 2 * (uint64_t)c->config.restore_timeout_ms;
}

bool session_uses(const struct coordinator *c, const struct checkpoint *k)
{
    const struct session *e = &c->runs[k->run].session;
    return (e->state == SESSION_PULLING ||
            (e->state == SESSION_ENDED && (e->verdicts_due || may_be_asked_again(c, e)))) &&
           e->checkpoint == checkpoint_index(c, k);
}

/* As session_uses, and what a load that is choosing may come to use, or ranks that lost its verdict
 * may ask for again: what is not to be retired before its time. */
bool session_may_use(const struct coordinator *c, const struct checkpoint *k)
{
    const struct run *run = &c->runs[k->run];
    const struct session *e = &run->session;
    bool chooses = e->state == SESSION_CHOOSING &&
                   (e->step_wanted == k->step ||
                    (e->step_wanted == CKPT_STEP_LATEST && k->state == CHECKPOINT_CONSISTENT));
    bool is_verdict = run->verdict_attempt == run->attempt && run->verdict_step == k->step;
    bool is_behind = false; /* every rank has gone on from the verdict */
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        is_behind = is_behind || (checkpoint_is_committed(&c->checkpoints[i]) &&
                                  c->checkpoints[i].attempt == run->attempt);
    }
    return session_uses(c, k) || chooses || (is_verdict && !is_behind);
}

/* Sends what verdicts fit; the rest goes out in the next turn. */
static void send_verdicts(struct coordinator *c, struct coordinator_update *u, struct run *run)
{
    struct session *e = &run->session;
    struct checkpoint *k = &c->checkpoints[e->checkpoint];
    for (; e->verdict_rank < e->world; e->verdict_rank++) {
        if (!update_has_room(u, 1)) {
            u->again = true;
            return;
        }
        struct shard *s = shard_find(c, k, e->verdict_rank);
        bool due = s != NULL && is_asked(e, s) && s->load_state != LOAD_ANSWERED &&
                   (e->status != CKPT_OK || s->load_state == LOAD_READY);
        if (!due) {
            continue;
        }
        struct message_load_ask ask = {.run = run->key,
                                       .attempt = e->attempt,
                                       .start = run->start_nonce,
                                       .asking_rank = s->rank,
                                       .rank = s->rank,
                                       .collective = true,
                                       .load = e->load};
        e->told = e->told || e->status == CKPT_OK;
        send_verdict(c, u, s->load_member, &ask, e->status, e->reason,
                     e->status == CKPT_OK ? s : NULL);
        s->load_state = LOAD_ANSWERED;
    }
    e->verdicts_due = false;
}

void sessions_tick(struct coordinator *c, struct coordinator_update *u)
{
    for (uint32_t i = 0; (i = index_set_from(&c->runs_loading, i)) != NONE; i++) {
        struct run *run = &c->runs[i];
        struct session *e = &run->session;
        if (!update_has_room(u, 4) || u->record_count + 2 > COORDINATOR_RECORDS_MAX) {
            u->again = true;
            return;
        }
        bool pending = e->state == SESSION_CHOOSING || e->state == SESSION_PULLING;
        if (pending && c->now_ms >= e->started_ms + c->config.restore_timeout_ms) {
            char waits[CKPT_REASON_MAX + 1];
            say(waits, "%s", e->waits);
            restore_end(c, u, run, waits[0] != '\0' ? CKPT_ERR_LOST : CKPT_ERR_TIMEOUT,
                        waits[0] != '\0'
                            ? waits
                            : "not every rank asked, or not every shard arrived, in time");
        }
        end_if_ready(c, u, run);
        if (e->state == SESSION_ENDED && e->verdicts_due) {
            send_verdicts(c, u, run);
        }
        session_stirs(c, run);
    }
}
