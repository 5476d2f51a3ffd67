/* SPDX-License-Identifier: Apache-2.0 */
/* A start that is given its number when every rank of the world has a seat. */
#include "coordinator/start_number.h"

#include <assert.h>

#include "base/reason.h"
#include "coordinator/checkpoint.h"
#include "coordinator/note.h"
#include "coordinator/seat.h"
#include "coordinator/seat_confirm.h"
#include "coordinator/trouble.h"

/* Somebody of the start is known to live: his node is connected. */
static bool has_heard_seat(const struct coordinator *c, const struct start *start)
{
    assert(start->used);
    for (uint32_t i = start->first_seat; i != NONE; i = c->seats[i].next_in_start) {
        uint32_t member = c->seats[i].member;
        if (member != NONE && c->members[member].connected) {
            return true;
        }
    }
    return false;
}

/* A place in the run's own start in place of a process that died before anything came of that,
 * while the others still wait. Never after this coordinator began anew: it does not know what the
 * processes before have staged. *waits_out: all others are on nodes that are away. They may have
 * died with this one, and all of them come again: until their nodes are back or lost, nobody knows
 * which start this is. */
static struct seat *seat_in_own(struct coordinator *c, struct run *run, struct start *start,
                                const struct message_seat_ask *ask, bool *waits_out)
{
    assert(run->used);
    *waits_out = false;
    if (start == NULL || start->is_recalled || nonce_is_zero(&start->nonce) ||
        coordinator_run_has_begun(c, run) || start->world != ask->world ||
        !nonce_equal(&start->name, &ask->name)) {
        return NULL;
    }
    struct seat *seat = coordinator_seat_find(c, start, ask->rank);
    if (seat == NULL) {
        return coordinator_seat_add(c, start,
                                    ask->rank); /* it is one that was founded by a number */
    }
    if (seat->member != NONE || seat->staged || start->live == 0) {
        return NULL;
    }
    *waits_out = !has_heard_seat(c, start);
    return *waits_out ? NULL : seat;
}

static void mix_name(struct nonce *name, const struct nonce *seat)
{
    for (size_t i = 0; i < NONCE_BYTES; i++) {
        name->bytes[i] ^= seat->bytes[i];
    }
}

/* The coordinator before this one may have ended between telling some ranks of a start and the
 * others: those that it told say so, these ask anew. A start is named by its seats, all of them
 * together, so that it is known again by who is in it and by nothing less. */
static bool is_recalled_as(struct coordinator *c, const struct start *own,
                           const struct start *forming)
{
    assert(forming->used);
    struct nonce name = {{0}};
    if (own == NULL || !own->is_recalled || own->seats + forming->seats < forming->world ||
        (own->world != 0 && own->world != forming->world)) {
        return false;
    }
    for (uint32_t rank = 0; rank < forming->world; rank++) {
        const struct seat *seat = coordinator_seat_find(c, own, rank);
        const struct seat *other = coordinator_seat_find(c, forming, rank);
        if ((seat == NULL) == (other == NULL)) {
            return false; /* nobody, or two processes */
        }
        seat = seat != NULL ? seat : other;
        mix_name(&name, &seat->nonce);
    }
    return nonce_equal(&name, &own->nonce);
}

/* The seats of the forming one are of the run's own start, and so is this rank. */
static void join_recalled(struct coordinator *c, struct start *own, struct start *forming)
{
    assert(own->used);
    assert(forming->used);
    own->world = forming->world;
    own->name = forming->name;
    own->is_recalled = false;
    for (uint32_t i = forming->first_seat; i != NONE; i = c->seats[i].next_in_start) {
        const struct seat *from = &c->seats[i];
        struct seat *seat = coordinator_seat_find(c, own, from->rank);
        seat = seat != NULL ? seat : coordinator_seat_add(c, own, from->rank);
        if (seat == NULL) {
            continue; /* the table is full: it asks again */
        }
        seat->nonce = from->nonce;
        coordinator_seat_move(c, seat, from->member);
        seat->staged = from->staged;
    }
    coordinator_start_free(c, forming);
    c->starts_telling += own->telling == NONE;
    own->telling = own->first_seat;
    c->update->again = true;
}

#define FORMING_OF_A_RUN_MAX 4

/* The newest of the forming starts that the rank may be of, or a new one. NULL: no room. */
static struct start *forming_for(struct coordinator *c, struct run *run,
                                 const struct message_seat_ask *ask)
{
    assert(run->used);
    uint32_t count = 0;
    struct start *oldest = NULL;
    for (uint32_t i = run->first_start; i != NONE; i = c->starts[i].next_in_run) {
        struct start *start = &c->starts[i];
        if (start->attempt != 0) {
            continue;
        }
        count++;
        oldest = start;
        const struct seat *seat = coordinator_seat_find(c, start, ask->rank);
        bool is_kept = seat != NULL && seat->member == NONE; /* for what it has staged */
        if (start->world == ask->world && nonce_equal(&start->name, &ask->name) && !is_kept) {
            return start;
        }
    }
    if (count >= FORMING_OF_A_RUN_MAX) {
        coordinator_start_free(c, oldest);
    } else if (c->starts_free <= c->config.runs_max) {
        return NULL; /* kept for the runs' own */
    }
    struct start *start = coordinator_start_add(c, run);
    if (start != NULL) {
        start->world = ask->world;
        start->name = ask->name;
    }
    return start;
}

/* Every rank of the world has a seat: the start gets its number, and is the run's own. */
static void complete(struct coordinator *c, struct run *run, struct start *start)
{
    assert(run->used);
    assert(start->used);
    start->nonce = (struct nonce){{0}};
    for (uint32_t i = start->first_seat; i != NONE; i = c->seats[i].next_in_start) {
        mix_name(&start->nonce, &c->seats[i].nonce);
    }
    start->attempt = run->attempt + 1;
    coordinator_run_raise_attempt(c, run, start->attempt, true, &start->nonce);
    run->start = start_index(c, start);
    start->telling = start->first_seat;
    c->starts_telling++;
    c->update->again = true;
    coordinator_trouble_is_over(c, TROUBLE_START, "", &run->key);
    coordinator_note(c, EVENT_start_complete, about_run(run, 0), "%u ranks are seated",
                     start->world);
}

#define START_WAITS_MS 10000 /* until it is said: processes of a job start within seconds */

static void note_pending(struct coordinator *c, const struct start *start, const char *reason)
{
    assert(start->used);
    if (c->now_ms >= start->since_ms + START_WAITS_MS) {
        struct trouble what = {.kind = TROUBLE_START, .status = CKPT_ERR_BUSY};
        what.shard.run = c->runs[start->run].key;
        (void)coordinator_trouble_happens(c, EVENT_start_waits, &what, "%s", reason);
    }
}

static void tell_pending(struct coordinator *c, uint32_t member, const struct message_seat_ask *ask,
                         const struct start *start)
{
    assert(member < c->member_count);
    assert(start->used);
    char reason[CKPT_REASON_MAX + 1];
    bool is_late = c->now_ms >= start->since_ms + c->config.save_timeout_ms;
    reason_set(reason, "%u of %u ranks have opened the run in this start%s", start->seats,
               start->world,
               is_late ? ", and no other has for long: saves do not wait any longer" : "");
    note_pending(c, start, reason);
    coordinator_seat_tell(c, member, ask, is_late ? CKPT_ERR_TIMEOUT : CKPT_ERR_BUSY, reason);
}

void coordinator_start_ask_number(struct coordinator *c, struct run *run, uint32_t member,
                                  const struct message_seat_ask *ask)
{
    assert(run->used);
    assert(member < c->member_count);
    struct seat *seat = coordinator_seat_of_process(c, run, ask->rank, &ask->seat);
    bool waits = false;
    seat = seat != NULL ? seat : seat_in_own(c, run, coordinator_start_of(c, run), ask, &waits);
    if (waits) {
        coordinator_seat_tell(
            c, member, ask, CKPT_ERR_BUSY,
            "the nodes of the run's other ranks are away: they may be of the start before");
        return;
    }
    if (seat == NULL) {
        struct start *start = forming_for(c, run, ask);
        seat = start == NULL ? NULL : coordinator_seat_find(c, start, ask->rank);
        if (seat != NULL) {
            char reason[CKPT_REASON_MAX + 1];
            reason_set(reason,
                       "rank %u runs on node %s as well: two processes have one rank number",
                       ask->rank, c->members[seat->member].node);
            coordinator_seat_tell(c, member, ask, CKPT_ERR_BUSY, reason);
            return;
        }
        seat = start == NULL ? NULL : coordinator_seat_add(c, start, ask->rank);
    }
    if (seat == NULL) {
        coordinator_seat_tell(
            c, member, ask, CKPT_ERR_BUSY,
            "no room for another start in the coordinator's tables: raise runs_max or shards_max");
        return;
    }
    struct start *start = &c->starts[seat->start];
    start->world = ask->world;
    start->name = nonce_is_zero(&start->name) ? ask->name : start->name;
    coordinator_seat_take(c, start, seat, member, ask);
    struct start *own = coordinator_start_of(c, run);
    if (start->attempt == 0 && is_recalled_as(c, own, start)) {
        join_recalled(c, own, start);
        start = own;
    }
    if (start->attempt == 0 && start->seats == start->world && run->attempt < UINT32_MAX) {
        complete(c, run, start);
    }
    if (start->attempt != 0) {
        coordinator_seat_tell_taken(c, member, ask, start);
    } else {
        tell_pending(c, member, ask, start);
    }
}
