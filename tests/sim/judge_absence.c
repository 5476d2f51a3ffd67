/* SPDX-License-Identifier: Apache-2.0 */
/* Absence is no evidence, and who stood still himself suspects himself first: invariants 22, 23
 * and 25.
 *
 *  - Nothing is quarantined of which every shard has a good copy in some memory, whether its node
 *    is up or down. Not counted: on a node that has been away for longer than a repair waits, of a
 *    shard of which a copy elsewhere was spoilt. Others had been made for it, nobody waits for it
 *    any more, and then those were proven different: that is evidence, and no absence. Nor on one
 *    that a person has forgotten, until it has told again what it has.
 *  - No load ends with less than what was consistent when it began, while that is so; nor, where no
 *    byte of a memory is lost, in a word of loss before it has waited for as long as loads do.
 *  - Where processes only stop and start: a committed shard is not copied again before enough of
 *    its copies have been away for some time, or a node that has one is full, from which it may
 *    move to another; and nobody is lost who is there.
 *
 * Not verified: that a load which ends in another error waited as long as it could; the last two
 * where the network fails too, for what a coordinator can have heard is not drawn here. */
#include <inttypes.h>
#include <string.h>

#include "hosts.h"
#include "judge.h"

static bool was_spoilt(struct sim *sim, const struct commit *commit, uint32_t rank)
{
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        for (uint32_t i = 0; i < sim->mix.slots; i++) {
            const struct sim_slot *slot = &sim->nodes[node].slots[i];
            const struct shard_key *key = &slot->generation_shard;
            const struct sim_job *job = sim_job_of(sim, &key->run);
            if (slot->touched && slot->touched_generation == slot->generation_high && job &&
                job->run == commit->run && key->attempt == commit->attempt &&
                key->step == commit->step && key->rank == rank) {
                return true;
            }
        }
    }
    return false;
}

static bool is_given_up(const struct sim *sim, const struct sim_host *host)
{
    return host->is_away && sim->now_ms - host->away_from_ms >= SIM_CONFIG_REPAIR_AFTER_MS;
}

static bool may_be_had(struct sim *sim, const struct commit *commit, uint32_t rank)
{
    bool spoilt = was_spoilt(sim, commit, rank);
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        if (sim->nodes[node].forgotten || (spoilt && is_given_up(sim, &sim->nodes[node].host))) {
            continue;
        }
        for (uint32_t i = 0; i < sim->mix.slots; i++) {
            const struct sim_slot *slot = &sim->nodes[node].slots[i];
            if (judge_holds_copy(slot) && judge_is_of(sim, slot, commit, rank) &&
                judge_slot_is_intact(sim, node, i, &commit->digests[rank])) {
                return true;
            }
        }
    }
    return false;
}

static bool all_may_be_had(struct sim *sim, const struct commit *commit)
{
    for (uint32_t rank = 0; rank < commit->world; rank++) {
        if (!may_be_had(sim, commit, rank)) {
            return false;
        }
    }
    return true;
}

void judge_quarantined(struct sim *sim, const struct commit *commit)
{
    if (sim->mix.liar < 0 && all_may_be_had(sim, commit)) {
        sim_violation(sim,
                      "run %u step %" PRIu64 " is quarantined, and every shard has a good copy in "
                      "some memory",
                      commit->run, commit->step);
    }
}

void judge_fell_back(struct sim *sim, const struct sim_job *job, enum ckpt_status status,
                     uint64_t step)
{
    bool is_early = status == CKPT_ERR_LOST && sim->mix.keeps_memory &&
                    sim->now_ms < job->phase_since_ms + SIM_CONFIG_RESTORE_TIMEOUT_MS;
    bool is_less = status == CKPT_ERR_NO_CHECKPOINT || is_early ||
                   (status == CKPT_OK && job->had_newest && step < job->newest_step);
    if (!job->had_newest || !is_less || sim->mix.liar >= 0) {
        return;
    }
    const struct commit *newest =
        judge_commit_find(sim, job->run, job->newest_attempt, job->newest_step);
    if (newest && !newest->retired && !newest->quarantined && all_may_be_had(sim, newest)) {
        sim_violation(sim,
                      "run %u attempt %u load %u ends in %s step %" PRIu64 ", and step %" PRIu64
                      " was consistent and has all its shards",
                      job->run, job->attempt, job->load, ckpt_status_name(status),
                      status == CKPT_OK ? step : 0, job->newest_step);
    }
}

/* When the coordinator last heard of the node, at the latest: one that went when the coordinator
 * had only just come may never have joined it. */
static uint64_t gone_since_ms(const struct sim_host *ruler, const struct sim_host *host)
{
    bool never_joined = host->away_from_ms < ruler->away_until_ms + SIM_JOIN_MS;
    return never_joined && ruler->away_until_ms < host->away_from_ms ? ruler->away_until_ms
                                                                     : host->away_from_ms;
}

/* From since_ms to until_ms by the coordinator's own clock, which stood still while it did: of the
 * last time, but for what may pass before it notices. */
static uint64_t counted_ms(const struct sim_host *ruler, uint64_t since_ms, uint64_t until_ms)
{
    uint64_t from_ms = ruler->stood_from_ms > since_ms ? ruler->stood_from_ms : since_ms;
    uint64_t to_ms = ruler->away_until_ms < until_ms ? ruler->away_until_ms : until_ms;
    uint64_t stood_ms = to_ms > from_ms + SIM_JOIN_MS ? to_ms - from_ms - SIM_JOIN_MS : 0;
    return until_ms > since_ms ? until_ms - since_ms - stood_ms : 0;
}

/* Whether the node may count as gone: away for so long, or so lately that the coordinator, or the
 * one that stood still or was dead meanwhile, cannot have heard of its return. */
static bool has_gone(struct sim *sim, uint32_t index, uint32_t node, uint64_t for_ms)
{
    const struct sim_host *host = &sim->nodes[node].host;
    const struct sim_host *ruler = &sim->rulers[index].host;
    uint64_t since_ms = gone_since_ms(ruler, host);
    if (host->is_away) {
        return counted_ms(ruler, since_ms, sim->now_ms) >= for_ms;
    }
    bool is_unheard = sim->now_ms < host->away_until_ms + SIM_HEARD_MS ||
                      (sim->now_ms < ruler->away_until_ms + SIM_HEARD_MS &&
                       host->away_until_ms + SIM_HEARD_MS > ruler->away_from_ms);
    uint64_t heard_ms = host->away_until_ms + SIM_JOIN_MS;
    heard_ms = heard_ms < sim->now_ms ? heard_ms : sim->now_ms;
    return is_unheard && counted_ms(ruler, since_ms, heard_ms) >= for_ms;
}

/* Made just before its node went: perhaps nobody has been told of it. */
static bool is_untold(const struct sim_host *host, const struct sim_slot *slot)
{
    return host->is_away && slot->digest_ended_ms + SIM_JOIN_MS > host->away_from_ms;
}

/* Domains of the shard's good copies on nodes that have not gone. */
static uint32_t domains_there(struct sim *sim, uint32_t ruler, const struct commit *commit,
                              uint32_t rank, uint64_t for_ms)
{
    uint32_t domains = 0;
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        for (uint32_t i = 0; i < sim->mix.slots && !has_gone(sim, ruler, node, for_ms); i++) {
            const struct sim_slot *slot = &sim->nodes[node].slots[i];
            if (judge_holds_copy(slot) && judge_is_of(sim, slot, commit, rank) &&
                !is_untold(&sim->nodes[node].host, slot)) {
                domains |= 1u << sim->nodes[node].domain;
            }
        }
    }
    return (uint32_t)__builtin_popcount(domains);
}

/* An order may be sent again long after it was right. */
static uint64_t first_sent_ms(struct sim *sim, uint32_t ruler, uint64_t number)
{
    struct first_sent *first = &sim->judge->orders[number % ORDERS_KEPT];
    uint32_t life = sim->rulers[ruler].host.life * SIM_RULERS_MAX + ruler;
    if (first->order != number || first->ruler_life != life) {
        *first = (struct first_sent){.order = number, .ruler_life = life, .at_ms = sim->now_ms};
    }
    return first->at_ms;
}

static bool has_it_already(struct sim *sim, const struct commit *commit, uint32_t rank,
                           uint32_t node)
{
    for (uint32_t i = 0; i < sim->mix.slots; i++) {
        const struct sim_slot *slot = &sim->nodes[node].slots[i];
        if (slot->stored && slot->record.state != SLOT_FREE &&
            judge_is_of(sim, slot, commit, rank)) {
            return true;
        }
    }
    return false;
}

static bool is_full(struct sim *sim, uint32_t node)
{
    uint32_t largest = (SIM_SHARD_BYTES_MAX + sim->mix.segment_bytes - 1) / sim->mix.segment_bytes;
    uint32_t free = 0, slots = 0;
    for (uint32_t i = 0; i < sim->mix.segments; i++) {
        struct room_part whole = {.segment = i, .bytes = sim->mix.segment_bytes};
        free += memory_is_free(sim, node, &whole);
    }
    for (uint32_t i = 0; i < sim->mix.slots; i++) {
        const struct sim_slot *slot = &sim->nodes[node].slots[i];
        slots += !slot->stored || slot->record.state == SLOT_FREE;
    }
    return free < largest || slots == 0;
}

void judge_slot_freed(struct sim *sim, uint32_t node)
{
    if (is_full(sim, node)) {
        sim->nodes[node].full_ms = sim->now_ms;
    }
}

/* A node without room for another shard passes copies on when that lasts; how long it did is not
 * known here, nor whether the coordinator has heard that it ended. */
static bool is_on_full_node(struct sim *sim, const struct commit *commit, uint32_t rank)
{
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        uint64_t full_ms = sim->nodes[node].full_ms;
        bool was_full = full_ms > 0 && sim->now_ms < full_ms + SIM_HEARD_MS;
        if ((was_full || is_full(sim, node)) && has_it_already(sim, commit, rank, node)) {
            return true;
        }
    }
    return false;
}

/* From there its copies move away, as soon as the coordinator hears of it; or so it was. */
static bool is_on_drained_node(struct sim *sim, const struct commit *commit, uint32_t rank)
{
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        if (sim->nodes[node].drains && has_it_already(sim, commit, rank, node)) {
            return true;
        }
    }
    return false;
}

void judge_order(struct sim *sim, uint32_t ruler, uint32_t node,
                 const struct message_pull_order *order)
{
    uint64_t since_ms = first_sent_ms(sim, ruler, order->order);
    const struct sim_job *job = sim_job_of(sim, &order->shard.run);
    if (order->purpose != PULL_REPLICATE || !job || !sim->mix.only_restarts) {
        return;
    }
    const struct commit *commit =
        judge_commit_find(sim, job->run, order->shard.attempt, order->shard.step);
    if (!commit || since_ms < sim->now_ms || commit->at_ms >= since_ms) {
        return;
    }
    uint32_t rank = order->shard.rank;
    if (!has_it_already(sim, commit, rank, node) && !is_on_drained_node(sim, commit, rank) &&
        !is_on_full_node(sim, commit, rank) &&
        domains_there(sim, ruler, commit, rank, SIM_CONFIG_REPAIR_AFTER_MS) >= commit->copies) {
        sim_violation(sim,
                      "run %u step %" PRIu64 " rank %u is copied again, and who has its copies was "
                      "not away for long",
                      job->run, order->shard.step, rank);
    }
}

/* Whether the coordinator may not have heard of the node since it was last away. By its own clock:
 * while it stood still, nobody was silent. */
static bool may_be_unheard(struct sim *sim, uint32_t ruler, uint32_t node)
{
    const struct sim_host *host = &sim->nodes[node].host;
    return host->is_away || host_ran_ms(sim, &sim->rulers[ruler].host) <
                                host->seen_by_ms[ruler] + SIM_CONFIG_LEASE_MS + SIM_JOIN_MS;
}

/* A coordinator calls agents lost: it says which, and each of them must have been away. */
void judge_members_lost(struct sim *sim, uint32_t ruler)
{
    const struct coordinator_update *update = &sim->rulers[ruler].update;
    for (uint32_t i = 0; i < update->note_count && sim->mix.only_restarts; i++) {
        const struct machine_note *note = &update->notes[i];
        for (uint32_t node = 0; note->event == EVENT_agent_lost && node < sim->mix.nodes; node++) {
            if (strcmp(note->node, sim->nodes[node].name) == 0 &&
                !may_be_unheard(sim, ruler, node)) {
                sim_violation(sim, "node %u is lost (%s), and is there", node, note->text);
            }
        }
    }
}
