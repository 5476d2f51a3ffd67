/* SPDX-License-Identifier: Apache-2.0 */
/* A start whose number the caller insists on. */
#include "coordinator/start_insist.h"

#include "base/planted_bug.h"
#include "coordinator/checkpoint.h"
#include "coordinator/seat.h"
#include "coordinator/seat_confirm.h"
#include "coordinator/update.h"

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
    if (is_late && start->live == 0 && !run_was_complete(c, run) &&
        c->now_ms < c->started_ms + c->config.restore_settle_ms) {
        seat_tell(c, u, member, ask, CKPT_ERR_BUSY, "others of the attempt may still be told of");
        return NULL;
    }
    if (!is_known && (is_other || (is_late && (start->live == 0 || run_was_complete(c, run))))) {
        seat_tell_used(c, u, member, ask, run);
        return NULL;
    }
    if (start->world != 0 && start->world != ask->world) {
        say(reason, "this rank says a world of %u, others of attempt %u said %u", ask->world,
            ask->attempt, start->world);
        seat_tell(c, u, member, ask, CKPT_ERR_WORLD, reason);
        return NULL;
    }
    if (seat != NULL && !is_known && seat->member != NONE) {
        say(reason, "rank %u runs on node %s as well: two processes have one rank number",
            ask->rank, c->members[seat->member].node);
        seat_tell(c, u, member, ask, CKPT_ERR_RANK, reason);
        return NULL;
    }
    if (seat != NULL && !is_known && (seat->staged || run_has_begun(c, run)) &&
        !PLANTED_BUG(VERDICT_BY_ATTEMPT)) {
        seat_tell_used(c, u, member, ask, run);
        return NULL;
    }
    seat = seat != NULL ? seat : seat_add(c, start, ask->rank);
    if (seat == NULL) {
        seat_tell(c, u, member, ask, CKPT_ERR_BUSY,
                  "no room for another rank in the coordinator's tables: raise shards_max");
    }
    return seat;
}

void start_ask_insisting(struct coordinator *c, struct coordinator_update *u, struct run *run,
                         uint32_t member, const struct message_seat_ask *ask)
{
    if (ask->attempt < run->attempt) {
        seat_tell_used(c, u, member, ask, run);
        return;
    }
    bool is_founded = ask->attempt > run->attempt;
    if (is_founded) {
        run_raise_attempt(c, u, run, ask->attempt, true, &ask->seat);
    }
    struct start *start = start_of(c, run);
    if (start == NULL) {
        seat_tell(c, u, member, ask, CKPT_ERR_BUSY,
                  "no room for another start in the coordinator's tables: raise runs_max");
        return;
    }
    if (nonce_is_zero(&start->nonce) && run_has_begun(c, run)) {
        seat_tell_used(c, u, member, ask, run); /* of before starts had names */
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
        seat_tell_taken(c, u, member, ask, start);
    }
}
