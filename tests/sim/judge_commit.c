/* SPDX-License-Identifier: Apache-2.0 */
/* A commit is what it says: invariants 1, 2, 4, 5 and 12.
 *
 * When a coordinator's update has a commit, each rank's shard must be one that this rank sealed for
 * this attempt and step; each copy that the coordinator counts must have been digested, in the
 * incarnation that the coordinator knows, from the holder's own memory, which is read again here;
 * and the nodes must be in as many domains as the run asked for. The complaint counts only when the
 * commit becomes durable: one that the store refuses has harmed nobody.
 *
 * Not verified: copies of a node that has started anew since, and which the coordinator has not
 * heard of yet; bytes that a flip or a rank changed after the digest. */
#include <inttypes.h>
#include <string.h>

#include "hosts.h"
#include "judge.h"

static void complain(struct sim_ruler *ruler, const struct sim_record *record, const char *what,
                     uint32_t rank, const char *node)
{
    if (!ruler->complaint[0]) {
        snprintf(ruler->complaint, sizeof ruler->complaint,
                 "commit of %s attempt %u step %" PRIu64 " rank %u: %s %s", record->record.run.name,
                 record->record.attempt, record->record.step, rank, what, node);
    }
}

static bool find_node(struct sim *sim, const char *name, uint32_t *node_out)
{
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        if (strcmp(sim->nodes[node].name, name) == 0) {
            *node_out = node;
            return true;
        }
    }
    return false;
}

static bool find_member(const struct coordinator *machine, const char *name,
                        struct coordinator_member_view *view_out)
{
    for (uint32_t i = 0; i < coordinator_member_count(machine); i++) {
        if (coordinator_member_view(machine, i, view_out) && view_out->joined &&
            strcmp(view_out->node, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool find_checkpoint(const struct coordinator *machine,
                            const struct coordinator_record *record, uint32_t *index_out)
{
    struct coordinator_checkpoint_view view;
    for (uint32_t i = 0; i < coordinator_checkpoint_count(machine); i++) {
        if (coordinator_checkpoint_view(machine, i, &view) && view.run.uid == record->run.uid &&
            strcmp(view.run.name, record->run.name) == 0 && view.attempt == record->attempt &&
            view.step == record->step) {
            *index_out = i;
            return true;
        }
    }
    return false;
}

/* What is wrong with one copy that the coordinator counts, or NULL. */
static const char *check_copy(struct sim *sim, const struct sim_ruler *ruler,
                              const struct sim_record *record, uint32_t rank,
                              const struct coordinator_copy_view *copy, uint32_t node_index)
{
    const struct sim_node *node = &sim->nodes[node_index];
    const struct digest *digest = &record->shards[rank].digest;
    struct coordinator_member_view member;
    if (!find_member(ruler->machine, copy->node, &member)) {
        return "counts a copy of a node that is not a member,";
    }
    if (!node->host.alive || !incarnation_equal(&member.incarnation, &node->host.incarnation)) {
        return NULL;
    }
    for (uint32_t i = 0; i < sim->mix.slots; i++) {
        const struct sim_slot *slot = &node->slots[i];
        if (slot->generation_shard.rank != rank ||
            slot->generation_shard.step != record->record.step ||
            slot->generation_shard.attempt != record->record.attempt ||
            !judge_digested(slot, node->host.life, copy->generation, digest)) {
            continue;
        }
        if (sim->mix.liar == (int)node_index ||
            (slot->touched && slot->touched_generation == copy->generation) ||
            judge_slot_is_intact(sim, node_index, i, digest)) {
            return NULL;
        }
        return "counts a copy whose bytes are others, on";
    }
    return "counts a copy that was never digested with that result in that life, on";
}

static void check_shard(struct sim *sim, struct sim_ruler *ruler, const struct sim_record *record,
                        const struct sim_job *job, uint32_t checkpoint, uint32_t rank)
{
    const struct coordinator_record_shard *shard = &record->shards[rank];
    const struct coordinator_record *r = &record->record;
    const struct ghost *ghost =
        judge_ghost_find(sim, job->run, r->attempt, r->step, rank, &shard->digest);
    bool lied = sim->mix.liar >= 0 && r->copies == 1;
    if (!judge_key_is_the_runs(sim, r, &shard->digest)) {
        complain(ruler, record, "a digest under another key than the run's", rank, "");
    }
    if (!ghost && !lied && !judge_ghost_is_tainted(sim, job->run, r->attempt, r->step, rank)) {
        complain(ruler, record, "no rank sealed these bytes", rank, "");
        return;
    }
    if (ghost && ghost->bytes != shard->bytes) {
        complain(ruler, record, "another size than the rank sealed", rank, "");
    }
    struct coordinator_shard_view view;
    if (!coordinator_shard_view(ruler->machine, checkpoint, rank, &view)) {
        complain(ruler, record, "the shard is unknown to the coordinator", rank, "");
        return;
    }
    uint32_t domains = 0;
    for (uint32_t i = 0; i < view.copy_count; i++) {
        const struct coordinator_copy_view *copy = &view.copies[i];
        uint32_t node;
        if (copy->state != COPY_VERIFIED || copy->bad || copy->cached || copy->pulling) {
            continue;
        }
        if (!find_node(sim, copy->node, &node)) {
            complain(ruler, record, "counts a copy of an unknown node", rank, copy->node);
            return;
        }
        const char *wrong = check_copy(sim, ruler, record, rank, copy, node);
        if (wrong) {
            complain(ruler, record, wrong, rank, copy->node);
        }
        domains |= 1u << sim->nodes[node].domain;
    }
    if ((uint32_t)__builtin_popcount(domains) < job->copies) {
        complain(ruler, record, "copies in too few domains", rank, "");
    }
}

void judge_transaction(struct sim *sim, uint32_t index)
{
    struct sim_ruler *ruler = &sim->rulers[index];
    for (uint32_t i = 0; i < ruler->transaction_count; i++) {
        const struct sim_record *record = &ruler->transaction[i];
        const struct coordinator_record *r = &record->record;
        const struct sim_job *job = sim_job_of(sim, &r->run);
        uint32_t checkpoint;
        if (r->type != RECORD_CONSISTENT || !job) {
            continue;
        }
        if (r->world != job->world) {
            complain(ruler, record, "another world than the run's", 0, "");
        } else if (!find_checkpoint(ruler->machine, r, &checkpoint)) {
            complain(ruler, record, "the coordinator does not show it", 0, "");
        } else {
            for (uint32_t rank = 0; rank < r->world; rank++) {
                check_shard(sim, ruler, record, job, checkpoint, rank);
            }
        }
    }
}

void judge_durable(struct sim *sim, uint32_t index, const struct sim_record *record)
{
    const struct coordinator_record *r = &record->record;
    const struct sim_job *job = sim_job_of(sim, &r->run);
    struct judge *judge = sim->judge;
    if (r->type != RECORD_CONSISTENT || !job) {
        return;
    }
    if (sim->rulers[index].complaint[0]) {
        sim_violation(sim, "%s", sim->rulers[index].complaint);
        return;
    }
    if (judge->commit_count == COMMITS_MAX) {
        sim_violation(sim, "more than %d commits", COMMITS_MAX);
        return;
    }
    struct commit *commit = &judge->commits[judge->commit_count++];
    *commit = (struct commit){.at_ms = sim->now_ms,
                              .run = job->run,
                              .attempt = r->attempt,
                              .step = r->step,
                              .world = r->world,
                              .copies = r->copies};
    for (uint32_t rank = 0; rank < r->world && rank < SIM_WORLD_MAX; rank++) {
        commit->bytes[rank] = (uint32_t)record->shards[rank].bytes;
        commit->digests[rank] = record->shards[rank].digest;
    }
    sim->stats.commits++;
    if (sim->faults_over && r->attempt == job->attempt) {
        judge->saved[job->run] += job->phase == JOB_TRAINING;
    }
}
