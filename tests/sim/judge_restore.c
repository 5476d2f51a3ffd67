/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks get the right bytes, and all of them the same step: invariants 3, 16 and 17.
 *
 * Not verified: a load whose verdict one rank's agent did not live to hand on, or gave up while
 * the others had theirs (its process gets an error and the job starts anew; nobody can promise more
 * when an agent dies between two messages); bytes that a flip or a rank changed after the last
 * digest before the hand-over. */
#include <inttypes.h>
#include <string.h>

#include "hosts.h"
#include "judge.h"

/* A pull that was under way when the ranks asked serves them: its digest may be a little older. */
#define PULL_SLACK_MS 1500

static struct session *find_session(struct sim *sim, uint32_t run, uint32_t attempt, uint32_t load)
{
    struct judge *judge = sim->judge;
    for (uint32_t i = judge->session_count; i-- > 0;) {
        struct session *session = &judge->sessions[i];
        if (session->run == run && session->attempt == attempt && session->load == load) {
            return session;
        }
    }
    if (judge->session_count == SESSIONS_MAX) {
        return NULL;
    }
    struct session *session = &judge->sessions[judge->session_count++];
    *session = (struct session){.run = run, .attempt = attempt, .load = load};
    return session;
}

static void judge_step(struct sim *sim, struct session *session, uint32_t shard_attempt,
                       uint64_t step)
{
    if (session->has_step && (session->step != step || session->shard_attempt != shard_attempt)) {
        sim_violation(
            sim, "run %u attempt %u load %u: some ranks get step %" PRIu64 ", some step %" PRIu64,
            session->run, session->attempt, session->load, session->step, step);
    }
    session->has_step = true;
    session->step = step;
    session->shard_attempt = shard_attempt;
}

static struct sim_slot *find_slot(struct sim *sim, uint32_t node, const struct shard_key *key,
                                  const struct digest *committed)
{
    for (uint32_t i = 0; i < sim->mix.slots; i++) {
        struct sim_slot *slot = &sim->nodes[node].slots[i];
        const struct shard_key *held = &slot->record.shard;
        if (slot->stored && slot->record.state == SLOT_VERIFIED && held->rank == key->rank &&
            held->step == key->step && held->attempt == key->attempt &&
            held->run.uid == key->run.uid && strcmp(held->run.name, key->run.name) == 0 &&
            slot->digest_life == sim->nodes[node].host.life &&
            slot->digest_generation == slot->record.generation &&
            judge_key_proves(slot, committed)) {
            return slot;
        }
    }
    return NULL;
}

/* An agent frees some copies of its own accord, and the coordinator may not have heard yet: a
 * reader's, when it is let go; one that has had two digests. Such a verdict finds nothing and the
 * ask goes on. */
static bool is_excused(struct sim *sim, uint32_t node, const struct shard_key *key, bool collective)
{
    for (uint32_t i = 0; i < sim->mix.slots; i++) {
        const struct sim_slot *slot = &sim->nodes[node].slots[i];
        const struct shard_key *held = &slot->generation_shard;
        if (held->rank == key->rank && held->step == key->step && held->attempt == key->attempt &&
            slot->digest_life == sim->nodes[node].host.life) {
            return !collective || sim->mix.liar == (int)node || slot->touched;
        }
    }
    return false;
}

/* The reader has had its answer, or has ended: its agent may have freed the copy long ago. */
static bool is_late_fetch(const struct sim_job *job, const struct message_load_verdict *verdict)
{
    const struct sim_rank *rank = &job->ranks[verdict->asking_rank];
    return !verdict->collective && verdict->asking_rank < job->world &&
           !(rank->fetches && rank->fetch_load == verdict->load);
}

static bool node_is_known(struct sim *sim, uint32_t ruler, uint32_t node)
{
    struct coordinator_member_view view;
    const struct coordinator *machine = sim->rulers[ruler].machine;
    for (uint32_t i = 0; i < coordinator_member_count(machine); i++) {
        if (coordinator_member_view(machine, i, &view) && view.joined &&
            strcmp(view.node, sim->nodes[node].name) == 0) {
            return sim->nodes[node].host.alive &&
                   incarnation_equal(&view.incarnation, &sim->nodes[node].host.incarnation);
        }
    }
    return false;
}

static void judge_good_verdict(struct sim *sim, uint32_t ruler, uint32_t node,
                               const struct message_load_verdict *verdict,
                               const struct sim_job *job)
{
    const struct shard_key *key = &verdict->shard;
    const struct commit *commit = judge_commit_find(sim, job->run, key->attempt, key->step);
    if (!commit || key->rank >= commit->world) {
        sim_violation(sim, "a verdict names step %" PRIu64 " of run %u, which is not consistent",
                      key->step, job->run);
        return;
    }
    if (coordinator_epoch(sim->rulers[ruler].machine) < sim->store.epoch) {
        return; /* another rules, and what this one knows is old */
    }
    if (commit->retired) {
        sim_violation(sim, "a verdict names step %" PRIu64 " of run %u, which is retired",
                      key->step, job->run);
    }
    bool is_lent = verdict->source_count == 0; /* of a range it is a word about others' copies */
    if (is_lent && node_is_known(sim, ruler, node) &&
        !find_slot(sim, node, key, &commit->digests[key->rank]) &&
        !is_excused(sim, node, key, verdict->collective) && !is_late_fetch(job, verdict)) {
        sim_violation(sim, "a verdict names step %" PRIu64 " rank %u, which node %u does not hold",
                      key->step, key->rank, node);
    }
}

/* A shard was spoilt in every memory after one rank had its verdict and before another had. */
static bool is_gone(struct sim *sim, const struct session *session)
{
    const struct commit *commit =
        judge_commit_find(sim, session->run, session->shard_attempt, session->step);
    return commit && !judge_is_whole(sim, commit);
}

void judge_verdict(struct sim *sim, uint32_t ruler, uint32_t node, const struct message *message)
{
    const struct message_load_verdict *verdict = &message->load_verdict;
    const struct sim_job *job = sim_job_of(sim, &verdict->run);
    if (!job) {
        return;
    }
    if (verdict->status == CKPT_OK) {
        judge_good_verdict(sim, ruler, node, verdict, job);
    }
    struct session *session = find_session(sim, job->run, verdict->attempt, verdict->load);
    if (!verdict->collective || !session) {
        return;
    }
    session->answered = session->answered || verdict->status == CKPT_OK ||
                        verdict->status == CKPT_ERR_NO_CHECKPOINT;
    if (!incarnation_equal(&session->verdict_by, &sim->rulers[ruler].host.incarnation)) {
        session->verdict_by = sim->rulers[ruler].host.incarnation;
        session->verdict_ok = false;
        session->verdict_bad = false;
    }
    if (verdict->status == CKPT_OK) {
        if (!session->verdict_ok) {
            session->verdict_epoch = coordinator_epoch(sim->rulers[ruler].machine);
        }
        session->verdict_ok = true;
        judge_step(sim, session, verdict->shard.attempt, verdict->shard.step);
    } else if (verdict->status == CKPT_ERR_RETIRED && sim->judge->retire_step[job->run]) {
        return; /* by hand, in the middle of the restore */
    } else if (verdict->status == CKPT_ERR_ATTEMPT && verdict->attempt < job->attempt) {
        return; /* a late ask: that attempt is over */
    } else if (verdict->status == CKPT_ERR_STALE && verdict->load < job->load) {
        return; /* a late ask: the processes load again */
    } else if (verdict->status == CKPT_ERR_LOST && session->verdict_ok && is_gone(sim, session)) {
        return;
    } else if (session->verdict_ok &&
               coordinator_epoch(sim->rulers[ruler].machine) > session->verdict_epoch) {
        return; /* an agent was lost between the verdict and its rank */
    } else if (verdict->load <= job->load || verdict->attempt < job->attempt) {
        session->verdict_bad = true;
    }
    if (session->verdict_ok && session->verdict_bad) {
        sim_violation(sim,
                      "run %u attempt %u load %u: one coordinator tells some ranks step %" PRIu64
                      " and others %s",
                      job->run, verdict->attempt, verdict->load, session->step,
                      ckpt_status_name(verdict->status));
    }
}

static bool read_mapped(struct sim *sim, const struct message_loaded *loaded,
                        const struct sim_mapping *mapping, struct digest *digest_out)
{
    uint8_t bytes[SIM_SHARD_BYTES_MAX];
    if (loaded->bytes > (uint64_t)mapping->count * sim->mix.segment_bytes) {
        sim_violation(sim, "a rank is handed %" PRIu64 " bytes in %u segments", loaded->bytes,
                      mapping->count);
        return false;
    }
    memory_read(sim, mapping, 0, (uint32_t)loaded->bytes, bytes);
    digest_of(bytes, (uint32_t)loaded->bytes, digest_key_of(&loaded->digest), digest_out);
    return true;
}

/* The bytes that are handed over, or what excuses that they are others: a flip after the last
 * digest; a liar that is the only witness, where one copy is all that was asked for. */
static void judge_bytes(struct sim *sim, const struct message_loaded *loaded,
                        const struct sim_mapping *mapping, const struct digest *committed,
                        const struct digest *now)
{
    const struct sim_slot *slot = &sim->nodes[mapping->node].slots[loaded->slot];
    if (digest_equal(now, committed) || sim->mix.liar == (int)mapping->node) {
        return;
    }
    if (slot->touched && slot->touched_generation == loaded->generation &&
        slot->touched_ms >= slot->digest_began_ms) {
        sim->stats.excused++;
        return;
    }
    sim_violation(sim,
                  "node %u hands over slot %u, step %" PRIu64
                  " rank %u, and its bytes are not the committed ones",
                  mapping->node, loaded->slot, loaded->step, loaded->rank);
}

static bool is_range_asked(const struct sim_rank *rank, const struct message_loaded *loaded)
{
    return loaded->load == rank->fetch_load && rank->fetch_bytes > 0;
}

/* A part of a shard: the chunks that were asked for, and no others. */
static bool is_size_right(const struct sim_rank *rank, const struct message_loaded *loaded,
                          uint32_t shard_bytes)
{
    if (loaded->shard_bytes == 0) {
        return loaded->bytes == shard_bytes && loaded->range_offset == 0;
    }
    uint32_t first = rank->fetch_offset / SIM_CHUNK_BYTES * SIM_CHUNK_BYTES;
    uint32_t end = rank->fetch_offset + rank->fetch_bytes;
    end = (end + SIM_CHUNK_BYTES - 1) / SIM_CHUNK_BYTES * SIM_CHUNK_BYTES;
    end = end < shard_bytes ? end : shard_bytes;
    return is_range_asked(rank, loaded) && loaded->shard_bytes == shard_bytes &&
           loaded->range_offset == first && loaded->bytes == end - first;
}

/* Of the chunks that the reader asked for alone: nothing is promised about the others. What was
 * committed of bytes that changed after the seal, nobody knows any more. */
static void judge_range(struct sim *sim, const struct sim_job *job, const struct sim_rank *rank,
                        const struct message_loaded *loaded, const struct sim_mapping *mapping)
{
    const struct sim_slot *slot = &sim->nodes[mapping->node].slots[loaded->slot];
    const struct ghost *ghost = judge_ghost_find(sim, job->run, loaded->attempt, loaded->step,
                                                 loaded->rank, &loaded->digest);
    uint8_t bytes[SIM_SHARD_BYTES_MAX];
    uint8_t values[SIM_CHUNKS_MAX * SIM_VALUE_BYTES];
    if (!ghost || sim->mix.liar == (int)mapping->node) {
        return;
    }
    memory_read(sim, mapping, 0, (uint32_t)loaded->bytes, bytes);
    values_of(bytes, (uint32_t)loaded->bytes, values);
    uint32_t base = (uint32_t)loaded->range_offset / SIM_CHUNK_BYTES;
    uint32_t first = rank->fetch_offset / SIM_CHUNK_BYTES;
    uint32_t last = (rank->fetch_offset + rank->fetch_bytes - 1) / SIM_CHUNK_BYTES;
    sim->stats.ranges++;
    if (memcmp(values + (first - base) * SIM_VALUE_BYTES, ghost->values + first * SIM_VALUE_BYTES,
               (last - first + 1) * SIM_VALUE_BYTES) == 0) {
        return;
    }
    if (slot->touched && slot->touched_generation == loaded->generation &&
        slot->touched_ms >= slot->digest_began_ms && slot->touched_ms >= slot->range_began_ms) {
        sim->stats.excused++;
        return;
    }
    sim_violation(sim,
                  "node %u hands over a part of slot %u, step %" PRIu64
                  " rank %u, and its bytes are not the committed ones",
                  mapping->node, loaded->slot, loaded->step, loaded->rank);
}

/* Digested for this load: all of it, or the part that was asked for. */
static void judge_digest_age(struct sim *sim, const struct sim_job *job,
                             const struct sim_rank *rank, const struct message_loaded *loaded,
                             const struct sim_mapping *mapping)
{
    const struct sim_slot *slot = &sim->nodes[mapping->node].slots[loaded->slot];
    uint32_t life = sim->nodes[mapping->node].host.life;
    bool is_whole = loaded->shard_bytes == 0 && slot->digest_life == life &&
                    slot->digest_generation == loaded->generation;
    bool is_part = is_range_asked(rank, loaded) && slot->range_life == life &&
                   slot->range_generation == loaded->generation;
    if (!is_whole && !is_part) {
        sim_violation(sim, "node %u hands over slot %u, which it did not digest", mapping->node,
                      loaded->slot);
    }
    bool is_fetch = loaded->load >= SIM_FETCH_FIRST;
    uint64_t asked_ms = is_fetch ? rank->fetch_asked_ms : job->phase_since_ms;
    bool is_of_now = !is_fetch || loaded->load == rank->fetch_load;
    uint64_t slack_ms = slot->record.owner ? 0 : PULL_SLACK_MS;
    bool is_fresh = (is_whole && slot->digest_ended_ms + slack_ms >= asked_ms) ||
                    (is_part && slot->range_ended_ms >= asked_ms);
    if (is_of_now && !is_fresh) {
        sim_violation(sim, "node %u hands over slot %u, which it did not digest for this load",
                      mapping->node, loaded->slot);
    }
}

static bool is_wrong_rank(const struct sim_job *job, const struct sim_rank *rank,
                          const struct message_loaded *loaded)
{
    bool is_fetch = loaded->load >= SIM_FETCH_FIRST;
    uint32_t expected = is_fetch ? rank->fetch_rank : (uint32_t)(rank - job->ranks);
    return (loaded->rank != expected && (!is_fetch || loaded->load == rank->fetch_load)) ||
           loaded->world != job->world;
}

void judge_loaded(struct sim *sim, struct sim_job *job, struct sim_rank *rank,
                  const struct message_loaded *loaded, const struct sim_mapping *mapping)
{
    const struct commit *commit = judge_commit_find(sim, job->run, loaded->attempt, loaded->step);
    if (!commit || loaded->rank >= commit->world || loaded->slot >= sim->mix.slots) {
        sim_violation(sim, "a rank of run %u is handed step %" PRIu64 ", which is not consistent",
                      job->run, loaded->step);
        return;
    }
    if (is_wrong_rank(job, rank, loaded)) {
        sim_violation(sim, "a rank of run %u is handed the shard of rank %u of %u", job->run,
                      loaded->rank, loaded->world);
    }
    if (!is_size_right(rank, loaded, commit->bytes[loaded->rank]) ||
        !digest_equal(&loaded->digest, &commit->digests[loaded->rank])) {
        sim_violation(sim, "a rank of run %u is handed another size or digest than the committed",
                      job->run);
        return;
    }
    if (!read_mapped(sim, loaded, mapping, &rank->handed)) {
        return;
    }
    if (is_range_asked(rank, loaded)) {
        judge_range(sim, job, rank, loaded, mapping);
    } else {
        judge_bytes(sim, loaded, mapping, &commit->digests[loaded->rank], &rank->handed);
    }
    judge_digest_age(sim, job, rank, loaded, mapping);
    if (loaded->load >= SIM_FETCH_FIRST) {
        sim->stats.fetches++;
        return;
    }
    sim->stats.restores++;
    struct session *session = find_session(sim, job->run, job->attempt, loaded->load);
    if (session) {
        judge_step(sim, session, loaded->attempt, loaded->step);
    }
}

/* A fault has changed the segment: whoever maps it sees that for as long as it is the same file,
 * also when the slot has another shard by then. */
void judge_taint_readers(struct sim *sim, uint32_t node, uint32_t segment)
{
    for (uint32_t i = 0; i < SIM_RUNS_MAX * SIM_WORLD_MAX; i++) {
        struct sim_rank *rank = &sim->jobs[i / SIM_WORLD_MAX].ranks[i % SIM_WORLD_MAX];
        const struct sim_mapping *mapping = &rank->restored;
        for (uint32_t j = 0; j < mapping->count && mapping->node == node; j++) {
            rank->tainted = rank->tainted || mapping->segments[j] == segment;
        }
    }
}

/* What a rank holds stays as it was handed over until the rank lets it go; when it has lost its
 * agent, its segments may be renewed, which it does not see. */
void judge_held(struct sim *sim, struct sim_job *job, struct sim_rank *rank)
{
    struct digest now;
    if (!memory_is_mapped(sim, &rank->restored)) {
        if (!rank->reads_on && sim->nodes[rank->restored.node].wipes == rank->restored.wipes) {
            sim_violation(sim, "a segment that a rank of run %u reads was renewed", job->run);
        }
        return;
    }
    if (!read_mapped(sim, &rank->loaded, &rank->restored, &now) ||
        digest_equal(&now, &rank->handed)) {
        return;
    }
    if (rank->tainted) {
        sim->stats.excused++;
        return;
    }
    sim_violation(sim, "the bytes that rank %u of run %u reads change under it",
                  (uint32_t)(rank - job->ranks), job->run);
}
