/* SPDX-License-Identifier: Apache-2.0 */
/* Who is seated: what is told of a seat, who takes and leaves it, and whether a process that says
 * it was seated may act for its start. */
#include "coordinator/seat_confirm.h"

#include <assert.h>

#include "base/reason.h"
#include "base/planted_bug.h"
#include "coordinator/checkpoint.h"
#include "coordinator/digest_key.h"
#include "coordinator/restore_state.h"
#include "coordinator/run.h"
#include "coordinator/seat.h"
#include "coordinator/shard.h"
#include "coordinator/update.h"

void coordinator_seat_tell(struct coordinator *c, uint32_t member,
                           const struct message_seat_ask *ask, enum ckpt_status status,
                           const char *reason)
{
    assert(member < c->member_count);
    struct message *m = coordinator_update_message(c, c->members[member].link, MESSAGE_SEAT_TOLD);
    struct message_seat_told *told = &m->seat_told;
    told->run = ask->run;
    told->rank = ask->rank;
    told->seat = ask->seat;
    told->ended = ask->ended;
    told->status = status;
    reason_set(told->reason, "%s", reason);
    const struct run *run =
        status == CKPT_OK || status == CKPT_ERR_BUSY ? coordinator_run_find(c, &ask->run) : NULL;
    if (run != NULL) {
        told->key = *coordinator_key_told(c, run);
    }
}

void coordinator_seat_tell_taken(struct coordinator *c, uint32_t member,
                                 const struct message_seat_ask *ask, const struct start *start)
{
    assert(member < c->member_count);
    assert(start->used);
    coordinator_seat_tell(c, member, ask, CKPT_OK, "");
    struct message_seat_told *told =
        &c->update->messages[c->update->message_count - 1].message.seat_told;
    told->attempt = start->attempt;
    told->start = start->nonce;
}

void coordinator_seat_tell_used(struct coordinator *c, uint32_t member,
                                const struct message_seat_ask *ask, const struct run *run)
{
    assert(member < c->member_count);
    assert(run->used);
    char reason[CKPT_REASON_MAX + 1];
    reason_set(
        reason,
        "attempt %u of the run was another start's, and the newest is %u: open with attempt 0, "
        "which takes the next number, or insist on one above %u",
        ask->attempt, run->attempt, run->attempt);
    coordinator_seat_tell(c, member, ask, CKPT_ERR_ATTEMPT, reason);
}

/* Up to now the run had this rank. */
static void note_leaving(struct coordinator *c, const struct start *start, const struct seat *seat)
{
    assert(start->used);
    assert(seat->start != NONE);
    if (seat->member != NONE) {
        c->runs[start->run].active_ms = c->now_ms;
    }
}

/* What was digested for the process before is digested again for this one, when it asks. */
static void forget_load(struct coordinator *c, const struct start *start, uint32_t rank)
{
    assert(start->used);
    struct run *run = &c->runs[start->run];
    const struct restore *restore = &run->restore;
    if (restore->state == RESTORE_NONE || restore->checkpoint == NONE ||
        restore->attempt != start->attempt) {
        return;
    }
    struct shard *s = coordinator_shard_find(c, &c->checkpoints[restore->checkpoint], rank);
    if (s != NULL && coordinator_restore_is_asked(restore, s)) {
        coordinator_restore_forget_ask(c, run, s);
    }
}

void coordinator_seat_take(struct coordinator *c, struct start *start, struct seat *seat,
                           uint32_t member, const struct message_seat_ask *ask)
{
    assert(start->used);
    assert(seat->start != NONE);
    bool is_new = !nonce_equal(&seat->nonce, &ask->seat);
    bool is_another = is_new && !nonce_is_zero(&seat->nonce) && !nonce_is_zero(&ask->seat);
    note_leaving(c, start, seat);
    seat->nonce = nonce_is_zero(&ask->seat) ? seat->nonce : ask->seat;
    coordinator_seat_move(c, seat, ask->ended ? NONE : member);
    seat->staged = ask->staged;
    if (is_new) {
        start->since_ms = c->now_ms;
    }
    if (is_another) {
        forget_load(c, start, seat->rank);
    }
}

void coordinator_seat_leave(struct coordinator *c, struct seat *seat)
{
    assert(seat->start != NONE);
    struct start *start = &c->starts[seat->start];
    note_leaving(c, start, seat);
    coordinator_seat_move(c, seat, NONE);
    seat->staged = false;
    if (start->attempt != 0) {
        return;
    }
    coordinator_seat_free(c, seat);
    if (start->seats == 0) {
        coordinator_start_free(c, start);
    }
}

void coordinator_seats_of_member_lost(struct coordinator *c, uint32_t member)
{
    assert(member < c->member_count);
    for (uint32_t i = 0; i < c->seats_high; i++) {
        if (c->seats[i].start != NONE && c->seats[i].member == member) {
            coordinator_seat_leave(c, &c->seats[i]);
        }
    }
}

struct seat *coordinator_seat_of_process(struct coordinator *c, const struct run *run,
                                         uint32_t rank, const struct nonce *nonce)
{
    assert(run->used);
    for (uint32_t i = run->first_start; i != NONE; i = c->starts[i].next_in_run) {
        struct seat *seat = coordinator_seat_find(c, &c->starts[i], rank);
        if (seat != NULL && nonce_equal(&seat->nonce, nonce)) {
            return seat;
        }
    }
    return NULL;
}

enum ckpt_status coordinator_seat_confirm(struct coordinator *c, struct run *run, uint32_t member,
                                          const struct message_seat_ask *ask, char *reason)
{
    assert(run->used);
    assert(member < c->member_count);
    if (ask->attempt < run->attempt) {
        reason_set(reason, "attempt %u of the run has begun: this process is of attempt %u",
                   run->attempt, ask->attempt);
        return CKPT_ERR_ATTEMPT;
    }
    bool goes_by_number = nonce_is_zero(&ask->start); /* it is of before starts had names */
    bool is_unnamed =
        ask->attempt == run->attempt && nonce_is_zero(&run->start_nonce) && !goes_by_number;
    if (ask->attempt > run->attempt || is_unnamed) {
        coordinator_run_raise_attempt(c, run, ask->attempt, true, &ask->start);
    }
    struct start *start = coordinator_start_of(c, run);
    if (start == NULL) {
        reason_set(reason, "no room for another start in the coordinator's tables: raise runs_max");
        return CKPT_ERR_BUSY;
    }
    if (!goes_by_number && !nonce_equal(&start->nonce, &ask->start) &&
        !PLANTED_BUG(VERDICT_BY_ATTEMPT)) {
        reason_set(reason, "attempt %u of the run is another start's", ask->attempt);
        return CKPT_ERR_ATTEMPT;
    }
    if (start->world != 0 && start->world != ask->world) {
        reason_set(reason, "this rank says a world of %u, others of its start said %u", ask->world,
                   start->world);
        return CKPT_ERR_WORLD;
    }
    struct seat *seat = coordinator_seat_find(c, start, ask->rank);
    if (seat != NULL && !nonce_is_zero(&ask->seat) && !nonce_is_zero(&seat->nonce) &&
        !nonce_equal(&seat->nonce, &ask->seat)) {
        reason_set(reason, "another process has taken the place of rank %u in attempt %u",
                   ask->rank, ask->attempt);
        return CKPT_ERR_ATTEMPT;
    }
    seat = seat != NULL ? seat : coordinator_seat_add(c, start, ask->rank);
    if (seat == NULL) {
        reason_set(reason,
                   "no room for another rank in the coordinator's tables: raise shards_max");
        return CKPT_ERR_BUSY;
    }
    start->world = ask->world;
    start->name = nonce_is_zero(&start->name) ? ask->name : start->name;
    coordinator_seat_take(c, start, seat, member, ask);
    return CKPT_OK;
}
