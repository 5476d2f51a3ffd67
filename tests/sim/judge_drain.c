/* SPDX-License-Identifier: Apache-2.0 */
/* A node that may go costs nothing: when the coordinator says so, every shard of each run's newest
 * checkpoint has its copies in memories of other nodes that do not drain; what came there so lately
 * that the coordinator may not know, one at least on a node that is not to go. And when all is
 * quiet, and there was room, no copy is left there.
 *
 * Read from the memories at the moment that it is said, when it is asked for and at each commit.
 *
 * Not verified: what was lost or changed on others so lately that nobody can have heard; other
 * checkpoints than the newest; how long a drain takes. */
#include <inttypes.h>
#include <string.h>

#include "hosts.h"
#include "judge.h"

static bool see(struct sim *sim, uint32_t node, struct coordinator_drain_view *view_out)
{
    const struct sim_ruler *ruler = &sim->rulers[sim->front];
    return ruler->host.alive && !ruler->host.busy && !ruler->host.paused &&
           sim->now_ms >= ruler->host.away_until_ms + SIM_HEARD_MS &&
           coordinator_epoch(ruler->machine) >= sim->store.epoch &&
           coordinator_drain_view(ruler->machine, sim->nodes[node].name, view_out);
}

bool judge_says_safe(struct sim *sim, uint32_t node)
{
    struct coordinator_drain_view view;
    return see(sim, node, &view) && view.draining && view.safe && view.joined;
}

static bool drains(struct sim *sim, uint32_t node)
{
    struct coordinator_drain_view view;
    return see(sim, node, &view) && view.draining;
}

static uint32_t domains_apart(struct sim *sim, const struct commit *commit, uint32_t rank,
                              const bool *without)
{
    uint32_t domains = 0;
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        for (uint32_t i = 0; i < sim->mix.slots && !without[node]; i++) {
            const struct sim_slot *slot = &sim->nodes[node].slots[i];
            if (judge_holds_copy(slot) && judge_is_of(sim, slot, commit, rank) &&
                (slot->touched || judge_slot_is_intact(sim, node, i, &commit->digests[rank]))) {
                domains |= 1u << sim->nodes[node].domain;
            }
        }
    }
    return (uint32_t)__builtin_popcount(domains);
}

/* The slot of its copy; one that is spoilt is worth nothing, and no node is kept for it. NULL: it
 * has none. */
static const struct sim_slot *good_copy(struct sim *sim, const struct commit *commit, uint32_t rank,
                                        uint32_t node)
{
    for (uint32_t i = 0; i < sim->mix.slots; i++) {
        const struct sim_slot *slot = &sim->nodes[node].slots[i];
        if (judge_holds_copy(slot) && judge_is_of(sim, slot, commit, rank) &&
            judge_slot_is_intact(sim, node, i, &commit->digests[rank])) {
            return slot;
        }
    }
    return NULL;
}

/* Of one node that may go: what it has had for long has all its copies elsewhere, and what came
 * there a moment ago at least one. */
static void judge_node(struct sim *sim, const struct commit *newest, uint32_t rank, uint32_t node,
                       const bool *drained, const bool *safe)
{
    const struct sim_slot *slot = good_copy(sim, newest, rank, node);
    if (slot == NULL) {
        return;
    }
    bool is_known = sim->now_ms > slot->digest_ended_ms + SIM_HEARD_MS;
    uint32_t wanted = is_known ? newest->copies : 1;
    uint32_t found = domains_apart(sim, newest, rank, wanted == 1 ? safe : drained);
    if (found < wanted) {
        sim_violation(sim,
                      "node %u may go, it is said, and holds run %u step %" PRIu64
                      " rank %u, which has %u copies elsewhere",
                      node, newest->run, newest->step, rank, found);
    }
}

void judge_drained(struct sim *sim)
{
    bool drained[SIM_NODES_MAX] = {false};
    bool safe[SIM_NODES_MAX] = {false};
    bool any = false;
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        drained[node] = drains(sim, node);
        safe[node] = judge_says_safe(sim, node);
        any = any || safe[node];
    }
    if (!any || sim->mix.liar >= 0 || judge_is_loss_unheard(sim)) {
        return;
    }
    for (uint32_t run = 0; run < sim->mix.runs; run++) {
        const struct commit *newest = judge_newest(sim, run);
        for (uint32_t rank = 0; newest && rank < newest->world; rank++) {
            for (uint32_t node = 0; node < sim->mix.nodes; node++) {
                if (safe[node]) {
                    judge_node(sim, newest, rank, node, drained, safe);
                }
            }
        }
    }
}

/* A rank that restored it there has it mapped still: no place for others, and no harm. */
bool judge_is_lent(struct sim *sim, uint32_t node, uint32_t slot)
{
    for (uint32_t run = 0; run < sim->mix.runs && drains(sim, node); run++) {
        const struct sim_job *job = &sim->jobs[run];
        for (uint32_t rank = 0; rank < job->world; rank++) {
            const struct sim_rank *r = &job->ranks[rank];
            if ((r->holds || r->reads_on) && r->restored.node == node && r->loaded.slot == slot) {
                return true;
            }
        }
    }
    return false;
}

static bool is_left(struct sim *sim, const struct commit *commit, uint32_t rank, uint32_t node)
{
    for (uint32_t i = 0; i < sim->mix.slots; i++) {
        const struct sim_slot *slot = &sim->nodes[node].slots[i];
        if (judge_holds_copy(slot) && judge_is_of(sim, slot, commit, rank) &&
            !judge_is_lent(sim, node, i)) {
            return true;
        }
    }
    return false;
}

/* When all is quiet: where no node was ever full, and there are domains enough, nothing is left
 * there. */
bool judge_is_clear(struct sim *sim, const struct commit *commit, uint32_t rank)
{
    uint32_t open = 0;
    bool left = false;
    bool was_full = sim->mix.arena != ARENA_ROOMY;
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        was_full = was_full || sim->nodes[node].full_ms > 0;
        if (!drains(sim, node)) {
            open |= 1u << sim->nodes[node].domain;
        } else {
            left = left || is_left(sim, commit, rank, node);
        }
    }
    return !left || was_full || (uint32_t)__builtin_popcount(open) < commit->copies;
}
