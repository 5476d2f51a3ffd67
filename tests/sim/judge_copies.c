/* SPDX-License-Identifier: Apache-2.0 */
/* When all is quiet, each shard of what is consistent has exactly the copies it should, and nothing
 * else takes room: invariants 21 and 22.
 *
 * Counts slots in the memories, long after the last save: of each shard that has a good copy at
 * all, as many copies as the run asked for, good ones, in as many domains; and no slot of what is
 * retired, was given up, or is nobody's.
 *
 * Not verified: what is quarantined; a liar's copies; how fast, but that QUIET_MS in sim.c is
 * enough. */
#include <inttypes.h>

#include "hosts.h"
#include "judge.h"

struct count {
    uint32_t copies;
    uint32_t spoilt; /* known to be: not by a fault that nobody can have seen yet */
    uint32_t domains;
};

static struct count count_copies(struct sim *sim, const struct commit *commit, uint32_t rank)
{
    struct count count = {0};
    uint32_t domains = 0;
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        for (uint32_t i = 0; i < sim->mix.slots; i++) {
            const struct sim_slot *slot = &sim->nodes[node].slots[i];
            if (!judge_holds_copy(slot) || !judge_is_of(sim, slot, commit, rank) ||
                judge_is_lent(sim, node, i)) {
                continue;
            }
            bool good = judge_is_spoilt_unseen(slot) ||
                        judge_slot_is_intact(sim, node, i, &commit->digests[rank]);
            count.copies++;
            count.spoilt += !good;
            domains |= good ? 1u << sim->nodes[node].domain : 0;
        }
    }
    count.domains = (uint32_t)__builtin_popcount(domains);
    return count;
}

static bool are_copies_right(struct sim *sim, const struct commit *commit, bool must)
{
    for (uint32_t rank = 0; rank < commit->world; rank++) {
        struct count count = count_copies(sim, commit, rank);
        bool lost = count.domains == 0;
        bool clear = judge_is_clear(sim, commit, rank);
        if (lost || (count.copies == commit->copies && count.domains == commit->copies && clear)) {
            continue;
        }
        if (must) {
            sim_violation(sim,
                          "run %u step %" PRIu64 " rank %u ends with %u copies, %u of them spoilt, "
                          "in %u domains, and should have %u%s",
                          commit->run, commit->step, rank, count.copies, count.spoilt,
                          count.domains, commit->copies, clear ? "" : ", none on drained nodes");
        }
        return false;
    }
    return true;
}

/* Of a checkpoint that stands. */
static bool is_wanted(struct sim *sim, const struct shard_key *key)
{
    const struct sim_job *job = sim_job_of(sim, &key->run);
    const struct commit *commit =
        job ? judge_commit_find(sim, job->run, key->attempt, key->step) : NULL;
    return commit && !commit->retired;
}

static bool is_tidy(struct sim *sim, bool must)
{
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        for (uint32_t i = 0; i < sim->mix.slots; i++) {
            const struct sim_slot *slot = &sim->nodes[node].slots[i];
            const struct slot_record *record = &slot->record;
            if (!slot->stored || slot->corrupt || record->state == SLOT_FREE ||
                (is_wanted(sim, &record->shard) && judge_holds_copy(slot))) {
                continue;
            }
            if (must) {
                sim_violation(sim,
                              "node %u slot %u ends in state %d with step %" PRIu64
                              " rank %u of %s, which nobody wants",
                              node, i, (int)record->state, record->shard.step, record->shard.rank,
                              record->shard.run.name);
            }
            return false;
        }
    }
    return true;
}

bool judge_has_converged(struct sim *sim, bool must)
{
    struct judge *judge = sim->judge;
    for (uint32_t i = 0; i < judge->commit_count; i++) {
        const struct commit *commit = &judge->commits[i];
        if (!commit->retired && !commit->quarantined && sim->mix.liar < 0 &&
            !are_copies_right(sim, commit, must)) {
            return false;
        }
    }
    if (!judge_has_persisted(sim, must)) {
        return false;
    }
    sim->stats.converged += !must;
    return is_tidy(sim, must);
}
