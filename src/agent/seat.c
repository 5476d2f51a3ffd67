/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's place in a start of its run, as the coordinator gives it out.
 *
 *   asking --CKPT_OK--> settled (attempt and start known)      asking --refused--> refused
 *
 * Opening needs no coordinator: until the start has its number, what the rank saves is staged under
 * its seat, as attempt 0, and told to nobody. A seat outlives its process for as long as such saves
 * wait, and until the coordinator knows that the process has gone. */
#include "agent/seat.h"

#include <assert.h>
#include <string.h>

#include "agent/digest_key.h"
#include "agent/identity.h"
#include "agent/note.h"
#include "agent/run.h"
#include "agent/save_outcome.h"
#include "agent/slot.h"
#include "agent/update.h"
#include "base/reason.h"

/* A start that is not complete is asked about less often: the coordinator tells by itself. */
#define PENDING_RESENDS 4

static bool is_staged_of(const struct slot *slot, const struct seat *seat)
{
    assert(seat->used);
    return agent_slot_waits(slot) && !slot->doomed && nonce_equal(&slot->seat, &seat->seat) &&
           run_key_equal(&slot->shard.run, &seat->run);
}

static bool has_staged(const struct agent *a, const struct seat *seat)
{
    for (uint32_t i = 0; i < a->slots_high; i++) {
        if (is_staged_of(&a->slots[i], seat)) {
            return true;
        }
    }
    return false;
}

uint32_t agent_seat_staged(const struct agent *a, uint32_t seat, uint64_t step)
{
    assert(seat < a->seat_count);
    for (uint32_t i = 0; i < a->slots_high; i++) {
        if (a->slots[i].shard.step == step && is_staged_of(&a->slots[i], &a->seats[seat])) {
            return i;
        }
    }
    return NONE;
}

static struct seat *find(struct agent *a, const struct run_key *run, const struct nonce *nonce)
{
    for (uint32_t i = 0; i < a->seat_count; i++) {
        struct seat *seat = &a->seats[i];
        if (seat->used && nonce_equal(&seat->seat, nonce) && run_key_equal(&seat->run, run)) {
            return seat;
        }
    }
    return NULL;
}

static struct rank_session *session_of(struct agent *a, const struct seat *seat)
{
    assert(seat->used);
    for (uint32_t i = 0; i < a->session_count; i++) {
        struct rank_session *session = &a->sessions[i];
        if (session->used && session->open && !session->reader &&
            session->seat == (uint32_t)(seat - a->seats)) {
            return session;
        }
    }
    return NULL;
}

/* There are as many as sessions and slots together, and some: one that neither needs is to be
 * had. */
static struct seat *make(struct agent *a)
{
    struct seat *idle = NULL;
    for (uint32_t i = 0; i < a->seat_count; i++) {
        struct seat *seat = &a->seats[i];
        if (!seat->used) {
            return seat;
        }
        if (seat->ended && !has_staged(a, seat)) {
            idle = seat;
        }
    }
    assert(idle != NULL);
    return idle;
}

static void resend(struct agent *a, struct seat *seat)
{
    assert(seat->used);
    seat->answered = false;
    seat->due_ms = a->now_ms;
}

uint32_t agent_seat_claim(struct agent *a, const struct run_key *run,
                          const struct message_rank_open *ask, bool by_number)
{
    struct seat *seat = find(a, run, &ask->seat);
    if (seat == NULL) {
        seat = make(a);
        memset(seat, 0, sizeof(*seat));
        seat->used = true;
        seat->run = *run;
        seat->seat = ask->seat;
        seat->name = ask->name;
        seat->attempt = ask->attempt;
    }
    seat->rank = ask->rank;
    seat->world = ask->world;
    if ((!nonce_is_zero(&ask->start) || (ask->attempt != 0 && by_number)) && !seat->settled) {
        seat->settled = true;
        seat->start = ask->start;
        seat->attempt = ask->attempt;
    }
    seat->ended = false;
    resend(a, seat);
    assert(seat->used);
    return (uint32_t)(seat - a->seats);
}

void agent_seat_adopt(struct agent *a, uint32_t slot)
{
    assert(slot < a->config.slots);
    assert(a->adopting);
    const struct slot *s = &a->slots[slot];
    if (find(a, &s->shard.run, &s->seat) != NULL) {
        return;
    }
    struct seat *seat = make(a);
    *seat = (struct seat){.used = true,
                          .ended = true,
                          .run = s->shard.run,
                          .rank = s->shard.rank,
                          .world = s->world,
                          .attempt = s->insisted,
                          .seat = s->seat,
                          .name = s->name,
                          .due_ms = a->now_ms};
}

void agent_seat_leave(struct agent *a, uint32_t index)
{
    assert(index < a->seat_count);
    assert(a->seats[index].used);
    struct seat *seat = &a->seats[index];
    seat->ended = true;
    resend(a, seat);
}

void agent_seats_resend(struct agent *a)
{
    for (uint32_t i = 0; i < a->seat_count; i++) {
        if (a->seats[i].used) {
            resend(a, &a->seats[i]);
        }
    }
}

/* Its protocol has no word for it. */
static bool is_of_before(const struct rank_session *session)
{
    return nonce_is_zero(&session->asked.seat);
}

/* Its number: another slot that has the same name by now was left by a process that lost its place
 * to this one, and was never told of. */
static void name_slot(struct agent *a, uint32_t slot, const struct seat *seat)
{
    assert(seat->settled);
    struct slot *s = &a->slots[slot];
    assert(agent_slot_waits(s));
    struct shard_key shard = s->shard;
    shard.attempt = seat->attempt;
    uint32_t other = agent_slot_live(a, &shard);
    if (other != NONE) {
        agent_slot_doom(a, a->slots[other].generation < s->generation ? other : slot);
    }
    s->shard.attempt = seat->attempt;
    if (!s->doomed) {
        s->record_pending = true;
        if (agent_copy_state(s) != COPY_NONE) {
            agent_report_wanted(a, slot);
        }
    }
}

static void settle(struct agent *a, struct seat *seat, const struct message_seat_told *told)
{
    assert(!seat->settled);
    struct rank_session *session = session_of(a, seat);
    assert(session == NULL || session->open);
    seat->settled = true;
    seat->attempt = told->attempt;
    seat->start = told->start;
    for (uint32_t i = 0; i < a->slots_high; i++) {
        if (is_staged_of(&a->slots[i], seat)) {
            name_slot(a, i, seat);
        }
    }
    if (session != NULL) {
        session->attempt = seat->attempt;
        session->seat_sent = is_of_before(session);
    }
    agent_run_attempt(a, agent_run_make(a, &seat->run), seat->attempt);
}

/* What was staged under the seat is given up; what its process writes still, when it has. */
static void give_up(struct agent *a, struct seat *seat, enum ckpt_status status, const char *reason)
{
    assert(seat->used);
    assert(status != CKPT_OK);
    struct rank_session *session = session_of(a, seat);
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (!is_staged_of(s, seat) || agent_copy_state(s) == COPY_NONE) {
            continue;
        }
        if (session != NULL) {
            agent_save_end_one(session, s->shard.step, status, reason);
        }
        agent_slot_doom(a, i);
    }
}

static void refuse(struct agent *a, struct seat *seat, const struct message_seat_told *told)
{
    assert(told->status != CKPT_OK);
    struct rank_session *session = session_of(a, seat);
    bool is_news = !seat->refused;
    seat->refused = true;
    give_up(a, seat, told->status, told->reason);
    if (session != NULL && is_news) {
        session->seat_sent = is_of_before(session);
        struct shard_key shard = {.run = seat->run, .attempt = seat->attempt, .rank = seat->rank};
        agent_note(a, EVENT_seat_refused, &shard, "%.200s", told->reason);
    }
}

void agent_seat_told(struct agent *a, const struct message_seat_told *told)
{
    assert(a->coordinator.state == LINK_JOINED);
    struct seat *seat = agent_run_is_valid(&told->run) ? find(a, &told->run, &told->seat) : NULL;
    if (seat == NULL || seat->rank != told->rank || seat->refused ||
        !agent_text_ends(told->reason, CKPT_REASON_MAX)) {
        return;
    }
    agent_digest_key_told(a, &told->run, &told->key);
    bool is_full = told->status == CKPT_ERR_FULL; /* there may be room later */
    bool pending = told->status == CKPT_ERR_BUSY || told->status == CKPT_ERR_TIMEOUT || is_full;
    seat->status = told->status;
    memcpy(seat->reason, told->reason, sizeof(seat->reason));
    if (pending) {
        seat->due_ms = a->now_ms + (uint64_t)a->config.resend_ms * PENDING_RESENDS;
        if (told->status != CKPT_ERR_BUSY && !seat->settled) {
            give_up(a, seat, is_full ? CKPT_ERR_FULL : CKPT_ERR_ABORTED, told->reason);
        }
        return;
    }
    if (told->status == CKPT_OK && told->attempt == 0) {
        seat->answered = told->ended == seat->ended; /* it has heard that the process went */
        return;
    }
    seat->answered = told->ended == seat->ended;
    if (told->status != CKPT_OK) {
        refuse(a, seat, told);
    } else if (!seat->settled) {
        settle(a, seat, told);
    }
}

static void send_seat_ask(struct agent *a, struct seat *seat)
{
    assert(seat->used);
    assert(a->coordinator.state == LINK_JOINED);
    struct agent_outgoing *out = agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_SEAT_ASK);
    assert(out != NULL);
    struct message_seat_ask *ask = &out->message.seat_ask;
    ask->run = seat->run;
    ask->rank = seat->rank;
    ask->world = seat->world;
    ask->attempt = seat->attempt;
    ask->start = seat->start;
    ask->seat = seat->seat;
    ask->name = seat->name;
    ask->ended = seat->ended;
    ask->staged = has_staged(a, seat);
    ask->settled = seat->settled;
    seat->due_ms = a->now_ms + a->config.resend_ms;
}

static void send_rank_seated(struct agent *a, struct rank_session *session)
{
    assert(!session->reader);
    const struct seat *seat = &a->seats[session->seat];
    assert(seat->settled || seat->refused);
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, session->link, MESSAGE_RANK_SEATED);
    assert(out != NULL);
    struct message_rank_seated *seated = &out->message.rank_seated;
    seated->status = seat->refused ? seat->status : CKPT_OK;
    memcpy(seated->reason, seat->refused ? seat->reason : "",
           seat->refused ? sizeof(seat->reason) : 1);
    seated->attempt = seat->attempt;
    seated->start = seat->start;
    session->seat_sent = true;
}

/* A coordinator of before starts had names takes a number at the caller's word, and gives none. */
static void go_by_number(struct agent *a, struct seat *seat)
{
    assert(seat->used);
    seat->answered = seat->attempt != 0 || seat->ended;
    seat->due_ms = a->now_ms + a->config.resend_ms;
    if (seat->attempt == 0) {
        reason_set(seat->reason, "the coordinator is of a release that gives out no attempts: "
                                 "upgrade it, or insist on one");
    } else if (!seat->settled) {
        struct message_seat_told told = {.attempt = seat->attempt};
        settle(a, seat, &told);
    }
}

/* Nobody needs to hear of it. */
static bool is_over(const struct agent *a, const struct seat *seat)
{
    return seat->ended && seat->answered && !has_staged(a, seat);
}

void agent_seats_pump(struct agent *a)
{
    assert(a->update != NULL);
    for (uint32_t i = 0; i < a->seat_count; i++) {
        struct seat *seat = &a->seats[i];
        if (!seat->used) {
            continue;
        }
        if (is_over(a, seat)) {
            memset(seat, 0, sizeof(*seat));
            continue;
        }
        if (seat->answered || a->coordinator.state != LINK_JOINED) {
            continue;
        }
        if (seat->due_ms <= a->now_ms) {
            if (!agent_update_has_room(a)) {
                return;
            }
            if ((a->coordinator.features & WIRE_FEATURE_STARTS) != 0) {
                send_seat_ask(a, seat);
            } else {
                go_by_number(a, seat);
            }
        }
        agent_update_deadline(a, seat->due_ms);
    }
    for (uint32_t i = 0; i < a->session_count; i++) {
        struct rank_session *session = &a->sessions[i];
        if (!session->used || !session->open || session->reader || session->seat_sent) {
            continue;
        }
        if (a->seats[session->seat].settled || a->seats[session->seat].refused) {
            if (!agent_update_has_room(a)) {
                return;
            }
            send_rank_seated(a, session);
        }
    }
}
