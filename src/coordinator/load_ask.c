/* SPDX-License-Identifier: Apache-2.0 */
/* The door for loads: a rank's, which has part in its run's one restore, or a reader's. */
#include "coordinator/load_ask.h"

#include <assert.h>

#include "base/planted_bug.h"
#include "coordinator/fetch.h"
#include "coordinator/restore.h"
#include "coordinator/restore_choose.h"
#include "coordinator/restore_state.h"
#include "coordinator/run.h"
#include "coordinator/seat.h"
#include "coordinator/seat_confirm.h"
#include "coordinator/verdict.h"

static void collective_ask(struct coordinator *c, struct run *run, uint32_t member,
                           const struct message_load_ask *ask)
{
    assert(run->used);
    assert(member < c->member_count);
    struct restore *restore = &run->restore;
    bool none = restore->state == RESTORE_NONE;
    uint32_t attempt = none ? run->verdict_attempt : restore->attempt;
    uint32_t load = none ? run->verdict_load : restore->load;
    bool older = ask->attempt < attempt || (ask->attempt == attempt && ask->load < load);
    bool newer = ask->attempt > attempt || (ask->attempt == attempt && ask->load > load);
    if (newer || (none && !older)) {
        coordinator_restore_start(c, run, ask);
    } else if (older) {
        coordinator_send_verdict(c, member, ask, CKPT_ERR_STALE,
                                 "a later load of this run has begun: start a new attempt", NULL);
        return;
    }
    restore->asked_ms = c->now_ms;
    if (ask->world != restore->world || ask->step != restore->step_wanted) {
        coordinator_send_verdict(
            c, member, ask, CKPT_ERR_WORLD,
            "other ranks of this load said another world or asked for another step", NULL);
        return;
    }
    if (PLANTED_BUG(MIXED_STEPS)) {
        coordinator_on_fetch_ask(c, member, ask);
        return;
    }
    if (restore->state == RESTORE_CHOOSING && !nonce_is_zero(&ask->start) &&
        !coordinator_run_is_complete(c, run)) {
        return; /* nobody is told anything before all of the start are here: the ask comes again */
    }
    if (restore->state == RESTORE_CHOOSING) {
        coordinator_restore_choose(c, run);
    }
    if (restore->state == RESTORE_ENDED && restore->status != CKPT_OK) {
        coordinator_send_verdict(c, member, ask, restore->status, restore->reason, NULL);
    } else if (restore->state == RESTORE_ENDED && restore->checkpoint == NONE) {
        coordinator_send_verdict(c, member, ask, CKPT_ERR_RETIRED,
                                 "the checkpoint of this load was retired since: load again", NULL);
    } else if (restore->state != RESTORE_CHOOSING) {
        coordinator_restore_ask(c, run, member, ask);
    }
    if (coordinator_restore_waits(restore) && restore->waits[0] != '\0') {
        coordinator_send_waits(c, member, ask, restore->waits);
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
static bool is_seated(struct coordinator *c, struct run *run, uint32_t member,
                      const struct message_load_ask *ask)
{
    assert(run->used);
    assert(member < c->member_count);
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
    enum ckpt_status status = coordinator_seat_confirm(c, run, member, &seat, reason);
    if (status != CKPT_OK && status != CKPT_ERR_BUSY) {
        coordinator_send_verdict(c, member, ask, status, reason, NULL);
    }
    return status == CKPT_OK;
}

void coordinator_on_load_ask(struct coordinator *c, uint32_t member,
                             const struct message_load_ask *ask)
{
    assert(member < c->member_count);
    if (!ask_is_valid(ask)) {
        coordinator_send_verdict(c, member, ask, CKPT_ERR_INVALID, "load with invalid values",
                                 NULL);
        return;
    }
    struct run *run = coordinator_run_find(c, &ask->run);
    if (run == NULL && ask->collective) {
        run = coordinator_run_add(
            c, &ask->run); /* its attempt voids what earlier ones may still report */
    }
    if (run == NULL) {
        coordinator_send_verdict(c, member, ask, CKPT_ERR_NO_CHECKPOINT,
                                 "the run has no consistent checkpoint", NULL);
        return;
    }
    run->touched_ms = c->now_ms;
    run->active_ms = c->now_ms;
    if (!ask->collective) {
        coordinator_on_fetch_ask(c, member, ask);
        return;
    }
    if (is_seated(c, run, member, ask)) {
        collective_ask(c, run, member, ask);
    }
}
