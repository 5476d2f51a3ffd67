/* SPDX-License-Identifier: Apache-2.0 */
/* Starts of a run: who is of one, and which number it has.
 *
 *   forming --every rank of the world has a seat--> the run's own: attempt rises by one, on record
 *
 * A caller that insists on a number founds the run's start with its first rank. From the moment
 * that a start is the run's own, the ranks of every earlier one are refused. A forming start
 * refuses nobody: one rank that comes back from the past, alone, is never complete.
 *
 * Seats are known by the process that has them and not by who says which number. Only the run's
 * attempt and the name of its start are on record: the seats of a start that has its number are
 * told again by the agents, those of one that has none are asked for again. */
#include "coordinator/state.h"

#include <string.h>

#include "base/planted_bug.h"

#define FORMING_OF_A_RUN_MAX 4

/* The run's own start is over: another has its place. */
void start_retire(struct coordinator *c, struct run *run)
{
    if (run->start != NONE) {
        start_free(c, &c->starts[run->start]);
    }
}

void starts_free_of(struct coordinator *c, struct run *run)
{
    while (run->first_start != NONE) {
        start_free(c, &c->starts[run->first_start]);
    }
}

static struct start *start_add(struct coordinator *c, struct run *run)
{
    for (uint32_t i = 0; c->starts_free > 0 && i < c->starts_max; i++) {
        struct start *start = &c->starts[i];
        if (!start->used) {
            *start = (struct start){.used = true,
                                    .run = run_index(c, run),
                                    .next_in_run = run->first_start,
                                    .first_seat = NONE,
                                    .telling = NONE,
                                    .since_ms = c->now_ms};
            run->first_start = i;
            c->starts_free--;
            return start;
        }
    }
    return NULL;
}

/* The run's own start; NULL when it has none yet. After a replay, or when the run had to make room,
 * its seats are still to be told of. The table has more starts than there are runs and forming
 * ones. */
static struct start *start_of(struct coordinator *c, struct run *run)
{
    if (run->attempt == 0) {
        return NULL;
    }
    if (run->start == NONE) {
        struct start *start = start_add(c, run);
        if (start == NULL) {
            return NULL;
        }
        start->attempt = run->attempt;
        start->nonce = run->start_nonce;
        start->is_recalled = true;
        run->start = start_index(c, start);
    }
    return &c->starts[run->start];
}

/* It has restored or saved something: who joins it now would get what others were told. */
bool run_has_begun(const struct coordinator *c, const struct run *run)
{
    if (run->begun || run->verdict_attempt == run->attempt) {
        return true;
    }
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        if (c->checkpoints[i].attempt == run->attempt) {
            return true;
        }
    }
    return false;
}

/* It was complete: all of its ranks had their verdict, or saved a checkpoint together. */
static bool was_complete(const struct coordinator *c, const struct run *run)
{
    if (run->verdict_attempt == run->attempt) {
        return true;
    }
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        const struct checkpoint *k = &c->checkpoints[i];
        if (k->attempt == run->attempt && checkpoint_is_committed(k)) {
            return true;
        }
    }
    return false;
}

bool run_is_complete(struct coordinator *c, struct run *run)
{
    const struct start *start = start_of(c, run);
    return start != NULL && start->world > 0 && start->seats == start->world;
}

uint32_t run_live_seats(const struct coordinator *c, const struct run *run)
{
    uint32_t live = 0;
    for (uint32_t i = run->first_start; i != NONE; i = c->starts[i].next_in_run) {
        live += c->starts[i].live;
    }
    return live;
}

bool run_has_live_seat(const struct coordinator *c, const struct run *run)
{
    return run_live_seats(c, run) > 0;
}

static void tell(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                 const struct message_seat_ask *ask, enum ckpt_status status, const char *reason)
{
    struct message *m = update_message(c, u, c->members[member].link, MESSAGE_SEAT_TOLD);
    struct message_seat_told *told = &m->seat_told;
    told->run = ask->run;
    told->rank = ask->rank;
    told->seat = ask->seat;
    told->ended = ask->ended;
    told->status = status;
    say(told->reason, "%s", reason);
}

static void tell_seated(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                        const struct message_seat_ask *ask, const struct start *start)
{
    tell(c, u, member, ask, CKPT_OK, "");
    struct message_seat_told *told = &u->messages[u->message_count - 1].message.seat_told;
    told->attempt = start->attempt;
    told->start = start->nonce;
}

static void tell_used(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                      const struct message_seat_ask *ask, const struct run *run)
{
    char reason[CKPT_REASON_MAX + 1];
    say(reason,
        "attempt %u of the run was another start's, and the newest is %u: open with attempt 0, "
        "which takes the next number, or insist on one above %u",
        ask->attempt, run->attempt, run->attempt);
    tell(c, u, member, ask, CKPT_ERR_ATTEMPT, reason);
}

/* Up to now the run had this rank. */
static void note_leaving(struct coordinator *c, const struct start *start, const struct seat *seat)
{
    if (seat->member != NONE) {
        c->runs[start->run].active_ms = c->now_ms;
    }
}

static void seat_take(struct coordinator *c, struct start *start, struct seat *seat,
                      uint32_t member, const struct message_seat_ask *ask)
{
    bool is_new = !nonce_equal(&seat->nonce, &ask->seat);
    note_leaving(c, start, seat);
    start->live -= seat->member != NONE;
    seat->nonce = nonce_is_zero(&ask->seat) ? seat->nonce : ask->seat;
    seat->member = ask->ended ? NONE : member;
    seat->staged = ask->staged;
    start->live += seat->member != NONE;
    if (is_new) {
        start->since_ms = c->now_ms;
    }
}

/* The process has gone. In a start that has its number the seat keeps its name: who comes next is
 * another process. */
static void seat_leave(struct coordinator *c, struct seat *seat)
{
    struct start *start = &c->starts[seat->start];
    note_leaving(c, start, seat);
    start->live -= seat->member != NONE;
    seat->member = NONE;
    seat->staged = false;
    if (start->attempt != 0) {
        return;
    }
    seat_free(c, seat);
    if (start->seats == 0) {
        start_free(c, start);
    }
}

void seats_of_member_lost(struct coordinator *c, uint32_t member)
{
    for (uint32_t i = 0; i < c->seats_high; i++) {
        if (c->seats[i].start != NONE && c->seats[i].member == member) {
            seat_leave(c, &c->seats[i]);
        }
    }
}

/* The seat of this very process, in whichever start. */
static struct seat *seat_of_process(struct coordinator *c, const struct run *run, uint32_t rank,
                                    const struct nonce *nonce)
{
    for (uint32_t i = run->first_start; i != NONE; i = c->starts[i].next_in_run) {
        struct seat *seat = seat_find(c, &c->starts[i], rank);
        if (seat != NULL && nonce_equal(&seat->nonce, nonce)) {
            return seat;
        }
    }
    return NULL;
}

/* ---- what was seated before ---- */

/* Whether a process that says it was seated in a start may act for it: no later one has begun, and
 * no other process has its place. What this coordinator does not know any more it is told here. */
enum ckpt_status seat_confirm(struct coordinator *c, struct coordinator_update *u, struct run *run,
                              uint32_t member, const struct message_seat_ask *ask, char *reason)
{
    if (ask->attempt < run->attempt) {
        say(reason, "attempt %u of the run has begun: this process is of attempt %u", run->attempt,
            ask->attempt);
        return CKPT_ERR_ATTEMPT;
    }
    bool goes_by_number = nonce_is_zero(&ask->start); /* it is of before starts had names */
    bool is_unnamed =
        ask->attempt == run->attempt && nonce_is_zero(&run->start_nonce) && !goes_by_number;
    if (ask->attempt > run->attempt || is_unnamed) {
        run_raise_attempt(c, u, run, ask->attempt, true, &ask->start);
    }
    struct start *start = start_of(c, run);
    if (start == NULL) {
        say(reason, "no room for another start in the coordinator's tables: raise runs_max");
        return CKPT_ERR_BUSY;
    }
    if (!goes_by_number && !nonce_equal(&start->nonce, &ask->start) &&
        !PLANTED_BUG(VERDICT_BY_ATTEMPT)) {
        say(reason, "attempt %u of the run is another start's", ask->attempt);
        return CKPT_ERR_ATTEMPT;
    }
    if (start->world != 0 && start->world != ask->world) {
        say(reason, "this rank says a world of %u, others of its start said %u", ask->world,
            start->world);
        return CKPT_ERR_WORLD;
    }
    struct seat *seat = seat_find(c, start, ask->rank);
    if (seat != NULL && !nonce_is_zero(&ask->seat) && !nonce_is_zero(&seat->nonce) &&
        !nonce_equal(&seat->nonce, &ask->seat)) {
        say(reason, "another process has taken the place of rank %u in attempt %u", ask->rank,
            ask->attempt);
        return CKPT_ERR_ATTEMPT;
    }
    seat = seat != NULL ? seat : seat_add(c, start, ask->rank);
    if (seat == NULL) {
        say(reason, "no room for another rank in the coordinator's tables: raise shards_max");
        return CKPT_ERR_BUSY;
    }
    start->world = ask->world;
    start->name = nonce_is_zero(&start->name) ? ask->name : start->name;
    seat_take(c, start, seat, member, ask);
    return CKPT_OK;
}

/* ---- a number that the caller insists on ---- */

/* The free or given-up place of the rank in the run's own start; NULL: it is not to be had, and
 * that was told. */
static struct seat *seat_insist(struct coordinator *c, struct coordinator_update *u,
                                struct run *run, struct start *start, uint32_t member,
                                const struct message_seat_ask *ask)
{
    char reason[CKPT_REASON_MAX + 1];
    struct seat *seat = seat_find(c, start, ask->rank);
    bool is_other = start->world != 0 && !nonce_equal(&start->name, &ask->name);
    bool is_known = (seat != NULL && nonce_equal(&seat->nonce, &ask->seat)) ||
                    nonce_equal(&start->nonce, &ask->seat); /* it has founded the start */
    bool is_late = seat == NULL && start->is_recalled && !is_known;
    if (is_late && start->live == 0 && !was_complete(c, run) &&
        c->now_ms < c->started_ms + c->config.restore_settle_ms) {
        tell(c, u, member, ask, CKPT_ERR_BUSY, "others of the attempt may still be told of");
        return NULL;
    }
    if (!is_known && (is_other || (is_late && (start->live == 0 || was_complete(c, run))))) {
        tell_used(c, u, member, ask, run);
        return NULL;
    }
    if (start->world != 0 && start->world != ask->world) {
        say(reason, "this rank says a world of %u, others of attempt %u said %u", ask->world,
            ask->attempt, start->world);
        tell(c, u, member, ask, CKPT_ERR_WORLD, reason);
        return NULL;
    }
    if (seat != NULL && !is_known && seat->member != NONE) {
        say(reason, "rank %u runs on node %s as well: two processes have one rank number",
            ask->rank, c->members[seat->member].node);
        tell(c, u, member, ask, CKPT_ERR_RANK, reason);
        return NULL;
    }
    if (seat != NULL && !is_known && (seat->staged || run_has_begun(c, run)) &&
        !PLANTED_BUG(VERDICT_BY_ATTEMPT)) {
        tell_used(c, u, member, ask, run);
        return NULL;
    }
    seat = seat != NULL ? seat : seat_add(c, start, ask->rank);
    if (seat == NULL) {
        tell(c, u, member, ask, CKPT_ERR_BUSY,
             "no room for another rank in the coordinator's tables: raise shards_max");
    }
    return seat;
}

static void ask_insisting(struct coordinator *c, struct coordinator_update *u, struct run *run,
                          uint32_t member, const struct message_seat_ask *ask)
{
    if (ask->attempt < run->attempt) {
        tell_used(c, u, member, ask, run);
        return;
    }
    bool is_founded = ask->attempt > run->attempt;
    if (is_founded) {
        run_raise_attempt(c, u, run, ask->attempt, true, &ask->seat);
    }
    struct start *start = start_of(c, run);
    if (start == NULL) {
        tell(c, u, member, ask, CKPT_ERR_BUSY,
             "no room for another start in the coordinator's tables: raise runs_max");
        return;
    }
    if (nonce_is_zero(&start->nonce) && run_has_begun(c, run)) {
        tell_used(c, u, member, ask, run); /* of before starts had names */
        return;
    }
    if (nonce_is_zero(&start->nonce)) {
        run_raise_attempt(c, u, run, ask->attempt, true, &ask->seat);
        start = start_of(c, run);
    }
    start->is_recalled = start->is_recalled && !is_founded;
    struct seat *seat = seat_insist(c, u, run, start, member, ask);
    if (seat != NULL) {
        start->world = ask->world;
        start->name = ask->name;
        seat_take(c, start, seat, member, ask);
        tell_seated(c, u, member, ask, start);
    }
}

/* ---- a number that is given out ---- */

/* Somebody of the start is known to live: his node is connected. */
static bool has_heard_seat(const struct coordinator *c, const struct start *start)
{
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
    *waits_out = false;
    if (start == NULL || start->is_recalled || nonce_is_zero(&start->nonce) ||
        run_has_begun(c, run) || start->world != ask->world ||
        !nonce_equal(&start->name, &ask->name)) {
        return NULL;
    }
    struct seat *seat = seat_find(c, start, ask->rank);
    if (seat == NULL) {
        return seat_add(c, start, ask->rank); /* it is one that was founded by a number */
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
    struct nonce name = {{0}};
    if (own == NULL || !own->is_recalled || own->seats + forming->seats < forming->world ||
        (own->world != 0 && own->world != forming->world)) {
        return false;
    }
    for (uint32_t rank = 0; rank < forming->world; rank++) {
        const struct seat *seat = seat_find(c, own, rank);
        const struct seat *other = seat_find(c, forming, rank);
        if ((seat == NULL) == (other == NULL)) {
            return false; /* nobody, or two processes */
        }
        seat = seat != NULL ? seat : other;
        mix_name(&name, &seat->nonce);
    }
    return nonce_equal(&name, &own->nonce);
}

/* The seats of the forming one are of the run's own start, and so is this rank. */
static void join_recalled(struct coordinator *c, struct coordinator_update *u, struct start *own,
                          struct start *forming)
{
    own->world = forming->world;
    own->name = forming->name;
    own->is_recalled = false;
    for (uint32_t i = forming->first_seat; i != NONE; i = c->seats[i].next_in_start) {
        const struct seat *from = &c->seats[i];
        struct seat *seat = seat_find(c, own, from->rank);
        seat = seat != NULL ? seat : seat_add(c, own, from->rank);
        if (seat == NULL) {
            continue; /* the table is full: it asks again */
        }
        own->live -= seat->member != NONE;
        own->live += from->member != NONE;
        seat->nonce = from->nonce;
        seat->member = from->member;
        seat->staged = from->staged;
    }
    start_free(c, forming);
    c->starts_telling += own->telling == NONE;
    own->telling = own->first_seat;
    u->again = true;
}

/* The newest of the forming starts that the rank may be of, or a new one. NULL: no room. */
static struct start *forming_for(struct coordinator *c, struct run *run,
                                 const struct message_seat_ask *ask)
{
    uint32_t count = 0;
    struct start *oldest = NULL;
    for (uint32_t i = run->first_start; i != NONE; i = c->starts[i].next_in_run) {
        struct start *start = &c->starts[i];
        if (start->attempt != 0) {
            continue;
        }
        count++;
        oldest = start;
        const struct seat *seat = seat_find(c, start, ask->rank);
        bool is_kept = seat != NULL && seat->member == NONE; /* for what it has staged */
        if (start->world == ask->world && nonce_equal(&start->name, &ask->name) && !is_kept) {
            return start;
        }
    }
    if (count >= FORMING_OF_A_RUN_MAX) {
        start_free(c, oldest);
    } else if (c->starts_free <= c->config.runs_max) {
        return NULL; /* kept for the runs' own */
    }
    struct start *start = start_add(c, run);
    if (start != NULL) {
        start->world = ask->world;
        start->name = ask->name;
    }
    return start;
}

/* Every rank of the world has a seat: the start gets its number, and is the run's own. */
static void complete(struct coordinator *c, struct coordinator_update *u, struct run *run,
                     struct start *start)
{
    start->nonce = (struct nonce){{0}};
    for (uint32_t i = start->first_seat; i != NONE; i = c->seats[i].next_in_start) {
        mix_name(&start->nonce, &c->seats[i].nonce);
    }
    start->attempt = run->attempt + 1;
    run_raise_attempt(c, u, run, start->attempt, true, &start->nonce);
    run->start = start_index(c, start);
    start->telling = start->first_seat;
    c->starts_telling++;
    u->again = true;
    trouble_is_over(c, TROUBLE_START, "", &run->key);
    struct machine_note *note = update_note(u, EVENT_start_complete);
    note->run = run->key;
    note->attempt = start->attempt;
    say(note->text, "%u ranks are seated", start->world);
}

#define START_WAITS_MS 10000 /* until it is said: processes of a job start within seconds */

static void note_pending(struct coordinator *c, struct coordinator_update *u,
                         const struct start *start, const char *reason)
{
    if (c->now_ms >= start->since_ms + START_WAITS_MS) {
        struct trouble what = {.kind = TROUBLE_START, .status = CKPT_ERR_BUSY};
        what.shard.run = c->runs[start->run].key;
        (void)trouble_happens(c, u, EVENT_start_waits, &what, "%s", reason);
    }
}

static void tell_pending(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                         const struct message_seat_ask *ask, const struct start *start)
{
    char reason[CKPT_REASON_MAX + 1];
    bool is_late = c->now_ms >= start->since_ms + c->config.save_timeout_ms;
    say(reason, "%u of %u ranks have opened the run in this start%s", start->seats, start->world,
        is_late ? ", and no other has for long: saves do not wait any longer" : "");
    note_pending(c, u, start, reason);
    tell(c, u, member, ask, is_late ? CKPT_ERR_TIMEOUT : CKPT_ERR_BUSY, reason);
}

static void ask_unnumbered(struct coordinator *c, struct coordinator_update *u, struct run *run,
                           uint32_t member, const struct message_seat_ask *ask)
{
    struct seat *seat = seat_of_process(c, run, ask->rank, &ask->seat);
    bool waits = false;
    seat = seat != NULL ? seat : seat_in_own(c, run, start_of(c, run), ask, &waits);
    if (waits) {
        tell(c, u, member, ask, CKPT_ERR_BUSY,
             "the nodes of the run's other ranks are away: they may be of the start before");
        return;
    }
    if (seat == NULL) {
        struct start *start = forming_for(c, run, ask);
        seat = start == NULL ? NULL : seat_find(c, start, ask->rank);
        if (seat != NULL) {
            char reason[CKPT_REASON_MAX + 1];
            say(reason, "rank %u runs on node %s as well: two processes have one rank number",
                ask->rank, c->members[seat->member].node);
            tell(c, u, member, ask, CKPT_ERR_BUSY, reason);
            return;
        }
        seat = start == NULL ? NULL : seat_add(c, start, ask->rank);
    }
    if (seat == NULL) {
        tell(c, u, member, ask, CKPT_ERR_BUSY,
             "no room for another start in the coordinator's tables: raise runs_max or shards_max");
        return;
    }
    struct start *start = &c->starts[seat->start];
    start->world = ask->world;
    start->name = nonce_is_zero(&start->name) ? ask->name : start->name;
    seat_take(c, start, seat, member, ask);
    struct start *own = start_of(c, run);
    if (start->attempt == 0 && is_recalled_as(c, own, start)) {
        join_recalled(c, u, own, start);
        start = own;
    }
    if (start->attempt == 0 && start->seats == start->world && run->attempt < UINT32_MAX) {
        complete(c, u, run, start);
    }
    if (start->attempt != 0) {
        tell_seated(c, u, member, ask, start);
    } else {
        tell_pending(c, u, member, ask, start);
    }
}

/* ---- the door ---- */

static bool ask_is_valid(const struct message_seat_ask *ask)
{
    return name_is_valid(ask->run.name, CKPT_RUN_NAME_MAX) && ask->world >= 1 &&
           ask->world <= CKPT_WORLD_MAX && ask->rank < ask->world && !nonce_is_zero(&ask->seat) &&
           (nonce_is_zero(&ask->start) || ask->attempt != 0);
}

static void ask_leaving(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                        const struct message_seat_ask *ask)
{
    struct run *run = run_find(c, &ask->run);
    struct seat *seat = run == NULL ? NULL : seat_of_process(c, run, ask->rank, &ask->seat);
    if (seat != NULL) {
        seat_leave(c, seat);
    }
    tell(c, u, member, ask, CKPT_OK, "");
}

void on_seat_ask(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                 const struct message_seat_ask *ask)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    if (!ask_is_valid(ask)) {
        tell(c, u, member, ask, CKPT_ERR_INVALID, "a seat with invalid values");
        return;
    }
    if (ask->ended && !ask->staged) {
        ask_leaving(c, u, member, ask);
        return;
    }
    struct run *run = run_find(c, &ask->run);
    run = run != NULL ? run : run_add(c, &ask->run);
    if (run == NULL) {
        struct trouble what = {.kind = TROUBLE_REPORT, .status = CKPT_ERR_FULL};
        strcpy(what.node, c->members[member].node);
        what.shard.run = ask->run;
        (void)trouble_happens(c, u, EVENT_report_refused, &what, "%s", run_no_room());
        tell(c, u, member, ask, CKPT_ERR_FULL, run_no_room());
        return;
    }
    run->touched_ms = c->now_ms;
    run->active_ms = ask->ended ? run->active_ms : c->now_ms;
    if (!nonce_is_zero(&ask->start) || (ask->settled && ask->attempt != 0)) {
        enum ckpt_status status = seat_confirm(c, u, run, member, ask, reason);
        if (status == CKPT_OK) {
            tell_seated(c, u, member, ask, &c->starts[run->start]);
        } else {
            tell(c, u, member, ask, status, reason);
        }
    } else if (ask->attempt != 0) {
        ask_insisting(c, u, run, member, ask);
    } else {
        ask_unnumbered(c, u, run, member, ask);
    }
}

/* Tells the ranks of a start that is complete; what is lost they ask for again. */
static void tell_start(struct coordinator *c, struct coordinator_update *u, struct start *start)
{
    while (start->telling != NONE && update_has_room(u, 1)) {
        const struct seat *seat = &c->seats[start->telling];
        start->telling = seat->next_in_start;
        if (seat->member == NONE || !c->members[seat->member].connected) {
            continue;
        }
        const struct message_seat_ask ask = {
            .run = c->runs[start->run].key, .rank = seat->rank, .seat = seat->nonce};
        tell_seated(c, u, seat->member, &ask, start);
    }
    c->starts_telling -= start->telling == NONE;
    u->again = u->again || start->telling != NONE;
}

void starts_tick(struct coordinator *c, struct coordinator_update *u)
{
    for (uint32_t i = 0; c->starts_telling > 0 && i < c->starts_max; i++) {
        if (c->starts[i].used && c->starts[i].telling != NONE) {
            tell_start(c, u, &c->starts[i]);
        }
    }
}
