/* SPDX-License-Identifier: Apache-2.0 */
/* What is persisted is: a manifest has its name in the tier only when every shard of a durable
 * commit is there with the bytes that were committed, PERSISTED is on record only when the manifest
 * is there; and in the end everything is persisted that should be.
 *
 * Not verified: what is passed over while an older one is on its way; a liar's shards, and those of
 * which no good copy is on a node with a tier, in the end; how fast, but that QUIET_MS in sim.c is
 * enough. */
#include <inttypes.h>

#include "hosts.h"
#include "judge.h"

/* NULL: it is as it was committed. */
static const char *wrong_of(struct sim *sim, const struct run_key *run, const struct commit *commit,
                            uint32_t rank)
{
    const struct shard_key key = {
        .run = *run, .attempt = commit->attempt, .step = commit->step, .rank = rank};
    const struct sim_tier_shard *s = tier_find(sim, &key);
    struct digest proof;
    if (!s) {
        return "is not there";
    }
    digest_under(&s->name, digest_key_of(&commit->digests[rank]), &proof);
    return s->bytes != commit->bytes[rank]                 ? "has another size"
           : !digest_equal(&proof, &commit->digests[rank]) ? "has other bytes"
                                                           : NULL;
}

static void judge_whole(struct sim *sim, const struct run_key *run, uint32_t attempt, uint64_t step,
                        const char *what)
{
    const struct sim_job *job = sim_job_of(sim, run);
    const struct commit *commit = job ? judge_commit_find(sim, job->run, attempt, step) : NULL;
    if (!commit) {
        sim_violation(sim, "%s of %s attempt %u step %" PRIu64 ", which was never committed", what,
                      run->name, attempt, step);
        return;
    }
    for (uint32_t rank = 0; rank < commit->world; rank++) {
        const char *wrong = wrong_of(sim, run, commit, rank);
        if (wrong) {
            sim_violation(sim, "%s of %s attempt %u step %" PRIu64 ", and rank %u in the tier %s",
                          what, run->name, attempt, step, rank, wrong);
        }
    }
}

void judge_manifest(struct sim *sim, const struct sim_tier_manifest *manifest)
{
    judge_whole(sim, &manifest->run, manifest->attempt, manifest->step, "a manifest");
}

void judge_persisted(struct sim *sim, const struct coordinator_record *record)
{
    const struct sim_job *job = sim_job_of(sim, &record->run);
    if (record->type == RECORD_LATEST_PERSISTED && job) {
        sim->judge->persisted[job->run].is_known = true;
        sim->judge->persisted[job->run].attempt = record->attempt;
        sim->judge->persisted[job->run].step = record->step;
    }
    if (record->type != RECORD_PERSISTED) {
        return;
    }
    sim->stats.persisted++;
    if (!tier_manifest(sim, &record->run, record->attempt, record->step)) {
        sim_violation(sim, "PERSISTED of %s attempt %u step %" PRIu64 ", and there is no manifest",
                      record->run.name, record->attempt, record->step);
    }
    judge_whole(sim, &record->run, record->attempt, record->step, "PERSISTED");
}

void judge_tier_word(struct sim *sim, const struct message_checkpoint_info *info)
{
    if (info->tier == CHECKPOINT_TIER_WHOLE &&
        !tier_manifest(sim, &info->run, info->attempt, info->step)) {
        sim_violation(sim,
                      "who asks hears that %s attempt %u step %" PRIu64
                      " is in the tier, and there is no manifest",
                      info->run.name, info->attempt, info->step);
    }
}

/* Every shard has an intact copy on a node from which it can go there. */
static bool can_be(struct sim *sim, const struct commit *commit)
{
    for (uint32_t rank = 0; rank < commit->world; rank++) {
        bool found = false;
        for (uint32_t node = 0; node < sim->mix.nodes && !found; node++) {
            for (uint32_t i = 0; i < sim->mix.slots && !found; i++) {
                const struct sim_slot *slot = &sim->nodes[node].slots[i];
                found = sim->nodes[node].config.has_tier && judge_holds_copy(slot) &&
                        judge_is_of(sim, slot, commit, rank) &&
                        judge_slot_is_intact(sim, node, i, &commit->digests[rank]);
            }
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bool should_be(struct sim *sim, const struct commit *commit)
{
    uint64_t every = sim->mix.persist_every;
    bool is_known = sim->judge->persisted[commit->run].is_known;
    uint32_t attempt = sim->judge->persisted[commit->run].attempt;
    uint64_t step = sim->judge->persisted[commit->run].step;
    bool is_persisted = is_known && attempt == commit->attempt && step == commit->step;
    if (is_persisted || (every == 0 && sim->mix.persist_max_age_ms == 0)) {
        return false;
    }
    return !is_known || sim->mix.persist_max_age_ms > 0 ||
           (every > 0 && (attempt != commit->attempt || commit->step / every != step / every));
}

bool judge_has_persisted(struct sim *sim, bool must)
{
    for (uint32_t run = 0; run < sim->mix.runs; run++) {
        const struct commit *newest = judge_newest(sim, run);
        if (!newest || !sim->mix.has_tier || sim->mix.liar >= 0 || !should_be(sim, newest) ||
            !can_be(sim, newest)) {
            continue;
        }
        if (must) {
            sim_violation(sim, "run %u step %" PRIu64 " should be persisted in the end, and is not",
                          run, newest->step);
        }
        return false;
    }
    return true;
}
