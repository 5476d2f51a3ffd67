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
#include "coordinator/start.h"

#include <assert.h>
#include <string.h>

#include "coordinator/run.h"
#include "coordinator/seat_confirm.h"
#include "coordinator/share.h"
#include "coordinator/start_insist.h"
#include "coordinator/start_number.h"
#include "coordinator/trouble.h"
#include "coordinator/update.h"

static bool ask_is_valid(const struct message_seat_ask *ask)
{
    return name_is_valid(ask->run.name, CKPT_RUN_NAME_MAX) && ask->world >= 1 &&
           ask->world <= CKPT_WORLD_MAX && ask->rank < ask->world && !nonce_is_zero(&ask->seat) &&
           (nonce_is_zero(&ask->start) || ask->attempt != 0);
}

static void ask_leaving(struct coordinator *c, uint32_t member, const struct message_seat_ask *ask)
{
    assert(member < c->member_count);
    struct run *run = coordinator_run_find(c, &ask->run);
    struct seat *seat =
        run == NULL ? NULL : coordinator_seat_of_process(c, run, ask->rank, &ask->seat);
    if (seat != NULL) {
        coordinator_seat_leave(c, seat);
    }
    coordinator_seat_tell(c, member, ask, CKPT_OK, "");
}

void coordinator_on_seat_ask(struct coordinator *c, uint32_t member,
                             const struct message_seat_ask *ask)
{
    assert(member < c->member_count);
    char reason[CKPT_REASON_MAX + 1] = "";
    if (!ask_is_valid(ask)) {
        coordinator_seat_tell(c, member, ask, CKPT_ERR_INVALID, "a seat with invalid values");
        return;
    }
    if (ask->ended && !ask->staged) {
        ask_leaving(c, member, ask);
        return;
    }
    struct run *run = coordinator_run_find(c, &ask->run);
    run = run != NULL ? run : coordinator_run_add(c, &ask->run);
    if (run == NULL) {
        struct trouble what = {.kind = TROUBLE_REPORT, .status = CKPT_ERR_FULL};
        strcpy(what.node, c->members[member].node);
        what.shard.run = ask->run;
        (void)coordinator_trouble_happens(c, EVENT_report_refused, &what, "%s",
                                          coordinator_run_no_room());
        coordinator_seat_tell(c, member, ask, CKPT_ERR_FULL, coordinator_run_no_room());
        return;
    }
    run->touched_ms = c->now_ms;
    run->active_ms = ask->ended ? run->active_ms : c->now_ms;
    if (!nonce_is_zero(&ask->start) || (ask->settled && ask->attempt != 0)) {
        enum ckpt_status status = coordinator_seat_confirm(c, run, member, ask, reason);
        if (status == CKPT_OK) {
            coordinator_seat_tell_taken(c, member, ask, &c->starts[run->start]);
        } else {
            coordinator_seat_tell(c, member, ask, status, reason);
        }
    } else if (ask->attempt != 0) {
        coordinator_start_ask_insisting(c, run, member, ask);
    } else {
        coordinator_start_ask_number(c, run, member, ask);
    }
}

/* Tells the ranks of a start that is complete; what is lost they ask for again. */
static void tell_start(struct coordinator *c, struct start *start)
{
    assert(start->used);
    while (start->telling != NONE && coordinator_update_has_room(c, 1)) {
        const struct seat *seat = &c->seats[start->telling];
        start->telling = seat->next_in_start;
        if (seat->member == NONE || !c->members[seat->member].connected) {
            continue;
        }
        const struct message_seat_ask ask = {
            .run = c->runs[start->run].key, .rank = seat->rank, .seat = seat->nonce};
        coordinator_seat_tell_taken(c, seat->member, &ask, start);
    }
    c->starts_telling -= start->telling == NONE;
    c->update->again = c->update->again || start->telling != NONE;
}

void coordinator_starts_tick(struct coordinator *c)
{
    for (uint32_t i = 0; c->starts_telling > 0 && i < c->starts_max; i++) {
        if (c->starts[i].used && c->starts[i].telling != NONE) {
            tell_start(c, &c->starts[i]);
        }
    }
}
