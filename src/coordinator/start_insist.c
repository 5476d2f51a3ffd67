/* SPDX-License-Identifier: Apache-2.0 */
/* A start whose number the caller insists on. */
#include "coordinator/start_insist.h"

#include <assert.h>

#include "base/reason.h"
#include "base/planted_bug.h"
#include "coordinator/checkpoint.h"
#include "coordinator/seat.h"
#include "coordinator/seat_confirm.h"

/* The free or given-up place of the rank in the run's own start; NULL: it is not to be had, and
 * that was told. */
static struct seat *seat_insist(struct coordinator *c, struct run *run, struct start *start,
                                uint32_t member, const struct message_seat_ask *ask)
{
    assert(run->used);
    assert(start->used);
    char reason[CKPT_REASON_MAX + 1];
    struct seat *seat = coordinator_seat_find(c, start, ask->rank);
    bool is_other = start->world != 0 && !nonce_equal(&start->name, &ask->name);
    bool is_known = (seat != NULL && nonce_equal(&seat->nonce, &ask->seat)) ||
                    nonce_equal(&start->nonce, &ask->seat); /* it has founded the start */
    bool is_late = seat == NULL && start->is_recalled && !is_known;
    if (is_late && start->live == 0 && !coordinator_run_was_complete(c, run) &&
        c->now_ms < c->started_ms + c->config.restore_settle_ms) {
        coordinator_seat_tell(c, member, ask, CKPT_ERR_BUSY,
                              "others of the attempt may still be told of");
        return NULL;
    }
    if (!is_known &&
        (is_other || (is_late && (start->live == 0 || coordinator_run_was_complete(c, run))))) {
        coordinator_seat_tell_used(c, member, ask, run);
        return NULL;
    }
    if (start->world != 0 && start->world != ask->world) {
        reason_set(reason, "this rank says a world of %u, others of attempt %u said %u", ask->world,
                   ask->attempt, start->world);
        coordinator_seat_tell(c, member, ask, CKPT_ERR_WORLD, reason);
        return NULL;
    }
    if (seat != NULL && !is_known && seat->member != NONE) {
        reason_set(reason, "rank %u runs on node %s as well: two processes have one rank number",
                   ask->rank, c->members[seat->member].node);
        coordinator_seat_tell(c, member, ask, CKPT_ERR_RANK, reason);
        return NULL;
    }
    if (seat != NULL && !is_known && (seat->staged || coordinator_run_has_begun(c, run)) &&
        !PLANTED_BUG(VERDICT_BY_ATTEMPT)) {
        coordinator_seat_tell_used(c, member, ask, run);
        return NULL;
    }
    seat = seat != NULL ? seat : coordinator_seat_add(c, start, ask->rank);
    if (seat == NULL) {
        coordinator_seat_tell(
            c, member, ask, CKPT_ERR_BUSY,
            "no room for another rank in the coordinator's tables: raise shards_max");
    }
    return seat;
}

void coordinator_start_ask_insisting(struct coordinator *c, struct run *run, uint32_t member,
                                     const struct message_seat_ask *ask)
{
    assert(run->used);
    assert(member < c->member_count);
    if (ask->attempt < run->attempt) {
        coordinator_seat_tell_used(c, member, ask, run);
        return;
    }
    bool is_founded = ask->attempt > run->attempt;
    if (is_founded) {
        coordinator_run_raise_attempt(c, run, ask->attempt, true, &ask->seat);
    }
    struct start *start = coordinator_start_of(c, run);
    if (start == NULL) {
        coordinator_seat_tell(
            c, member, ask, CKPT_ERR_BUSY,
            "no room for another start in the coordinator's tables: raise runs_max");
        return;
    }
    if (nonce_is_zero(&start->nonce) && coordinator_run_has_begun(c, run)) {
        coordinator_seat_tell_used(c, member, ask, run); /* of before starts had names */
        return;
    }
    if (nonce_is_zero(&start->nonce)) {
        coordinator_run_raise_attempt(c, run, ask->attempt, true, &ask->seat);
        start = coordinator_start_of(c, run);
    }
    start->is_recalled = start->is_recalled && !is_founded;
    struct seat *seat = seat_insist(c, run, start, member, ask);
    if (seat != NULL) {
        start->world = ask->world;
        start->name = ask->name;
        coordinator_seat_take(c, start, seat, member, ask);
        coordinator_seat_tell_taken(c, member, ask, start);
    }
}
