/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever wants the cluster to fail. Each kind of fault that the seed has strikes again and again,
 * at gaps around its mean, until the faults stop; then everything that it broke is mended. */
#include <inttypes.h>
#include <string.h>

#include "hosts.h"
#include "judge.h"

static void arm(struct sim *sim, enum fault_kind kind, uint32_t gap_ms)
{
    sim_later(sim, sim_between(sim, gap_ms / 2, gap_ms + gap_ms / 2), TURN_NEMESIS, 0, 0,
              (uint32_t)kind, NULL);
}

void nemesis_init(struct sim *sim)
{
    for (uint32_t kind = 0; kind < FAULT_KINDS; kind++) {
        if (sim->mix.gap_ms[kind] > 0) {
            arm(sim, (enum fault_kind)kind, sim->mix.gap_ms[kind]);
        }
    }
}

static void add(struct sim *sim, const struct sim_heal *heal, int sign)
{
    uint8_t(*cells)[SIM_HOSTS_MAX] = heal->clog ? sim->clog : sim->cut;
    for (uint32_t from = 0; from < SIM_HOSTS_MAX; from++) {
        for (uint32_t to = 0; to < SIM_HOSTS_MAX; to++) {
            if (heal->rows[from] >> to & 1) {
                cells[from][to] = (uint8_t)(cells[from][to] + sign);
            }
        }
    }
}

static struct sim_heal *new_heal(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_HEALS_MAX; i++) {
        if (!sim->heals[i].active) {
            sim->heals[i] = (struct sim_heal){.active = true};
            return &sim->heals[i];
        }
    }
    return NULL;
}

static void start_heal(struct sim *sim, struct sim_heal *heal, uint32_t for_ms)
{
    add(sim, heal, 1);
    sim_later(sim, for_ms, TURN_HEAL, 0, 0, (uint32_t)(heal - sim->heals), NULL);
}

void nemesis_heal(struct sim *sim, uint32_t heal)
{
    if (sim->heals[heal].active) {
        add(sim, &sim->heals[heal], -1);
        sim->heals[heal].active = false;
    }
}

/* Nothing passes from one part of the hosts to the other, or both ways. */
static void partition(struct sim *sim, bool one_way)
{
    struct sim_heal *heal = new_heal(sim);
    if (!heal) {
        return;
    }
    uint32_t all = (1u << SIM_HOSTS_MAX) - 1;
    uint32_t part = sim_between(sim, 1, all - 1);
    if (sim_chance(sim, PPM / 3)) {
        part = 1u << sim_between(sim, 0, SIM_HOSTS_MAX - 1);
    }
    for (uint32_t host = 0; host < SIM_HOSTS_MAX; host++) {
        bool in = part >> host & 1;
        if (in) {
            heal->rows[host] = (uint16_t)(all & ~part);
        } else if (!one_way) {
            heal->rows[host] = (uint16_t)part;
        }
    }
    sim_fault(sim, one_way ? FAULT_ONE_WAY : FAULT_PARTITION);
    start_heal(sim, heal, sim_between(sim, 100, 4000));
}

/* Stops the links of some hosts, one host after the other, and lets them go in another order. */
static void swizzle(struct sim *sim)
{
    sim_fault(sim, FAULT_SWIZZLE);
    uint32_t all = (1u << SIM_HOSTS_MAX) - 1;
    uint32_t part = sim_between(sim, 1, all);
    for (uint32_t host = 0; host < SIM_HOSTS_MAX; host++) {
        struct sim_heal *heal = part >> host & 1 ? new_heal(sim) : NULL;
        if (!heal) {
            continue;
        }
        heal->clog = true;
        heal->rows[host] = (uint16_t)all;
        for (uint32_t other = 0; other < SIM_HOSTS_MAX; other++) {
            heal->rows[other] |= (uint16_t)(1u << host);
        }
        start_heal(sim, heal, sim_between(sim, 100, 2500));
    }
}

/* Both ends find one connection closed; neither closed it. */
static void cut_link(struct sim *sim)
{
    for (uint32_t tries = 0; tries < 20 && sim->link_count > 0; tries++) {
        uint32_t link = (uint32_t)prng_below(&sim->prng, sim->link_count);
        if (!net_end_is_live(sim, link, 0) || !net_end_is_live(sim, link, 1)) {
            continue;
        }
        net_cut(sim, link);
        sim_fault(sim, FAULT_LINK_CUT);
        return;
    }
}

static bool pick_node(struct sim *sim, uint32_t *node_out)
{
    uint32_t node = sim_between(sim, 0, sim->mix.nodes - 1);
    *node_out = node;
    return sim->nodes[node].host.alive;
}

static bool pick_ruler(struct sim *sim, uint32_t *ruler_out)
{
    uint32_t ruler = sim_between(sim, 0, SIM_RULERS_MAX - 1);
    *ruler_out = ruler;
    if (!sim->rulers[ruler].host.alive) {
        *ruler_out = sim->front;
    }
    return sim->rulers[*ruler_out].host.alive;
}

static void pause_host(struct sim *sim, uint32_t index, enum fault_kind kind, uint32_t for_ms)
{
    struct sim_host *host = host_at(sim, index);
    if (host->paused) {
        return;
    }
    host->paused = true;
    host_leave(sim, host);
    sim_fault(sim, kind);
    sim_trace(sim, "host %u stands still for %u ms", index, for_ms);
    sim_later(sim, for_ms, TURN_RESUME, index, host->life, 0, NULL);
}

static void corrupt_record(struct sim *sim, uint32_t node)
{
    uint32_t slot = sim_between(sim, 0, sim->mix.slots - 1);
    bool strikes = !sim->mix.keeps_memory && sim_chance(sim, PPM / 4);
    for (uint32_t tries = 0; strikes && tries < sim->mix.slots; tries++) {
        slot = (slot + 1) % sim->mix.slots;
        if (sim->nodes[node].slots[slot].stored) {
            sim->nodes[node].slots[slot].corrupt = true;
            sim->nodes[node].lost_ms = sim->now_ms;
            sim_fault(sim, FAULT_RECORD_CORRUPT);
            return;
        }
    }
}

void nemesis_fell(struct sim *sim, uint32_t node, bool wipe, uint32_t down_ms)
{
    if (!sim->nodes[node].host.alive) {
        return;
    }
    sim->nodes[node].host.down_ms = down_ms;
    if (wipe) {
        job_node_wiped(sim, node);
    }
    host_crash(sim, node);
    if (wipe) {
        node_wipe(sim, node);
    }
}

static void crash_agent(struct sim *sim, bool wipe)
{
    uint32_t node;
    if (!pick_node(sim, &node)) {
        return;
    }
    sim_fault(sim, wipe ? FAULT_WIPE : FAULT_AGENT_CRASH);
    nemesis_fell(sim, node, wipe, 0);
    if (!wipe) {
        corrupt_record(sim, node);
    }
}

/* Every node that has a copy of some shard of a run's newest checkpoint, for long; and its job, so
 * that somebody asks for it. */
static void fell_holders(struct sim *sim)
{
    struct sim_job *job = &sim->jobs[sim_between(sim, 0, sim->mix.runs - 1)];
    const struct commit *newest = judge_newest(sim, job->run);
    if (!newest) {
        return;
    }
    uint32_t rank = sim_between(sim, 0, newest->world - 1);
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        if (judge_node_holds(sim, newest, rank, node)) {
            nemesis_fell(sim, node, false, sim_between(sim, 6000, 12000));
        }
    }
    job_fail(sim, job, sim_between(sim, 20, 1500));
}

/* The coordinator starts anew, and agents that went with it come back later than it does, each in
 * its own time; now and then one of them wiped. */
static void return_late(struct sim *sim)
{
    uint32_t ruler;
    bool wipes = sim->mix.gap_ms[FAULT_WIPE] > 0 && sim_chance(sim, PPM / 3);
    uint32_t patience_ms = sim_between(sim, 500, 12000);
    if (!pick_ruler(sim, &ruler)) {
        return;
    }
    sim_fault(sim, FAULT_LATE_RETURN);
    if (sim_chance(sim, PPM / 4)) {
        fell_holders(sim);
        patience_ms = 0;
    }
    for (uint32_t node = 0; node < sim->mix.nodes && patience_ms > 0; node++) {
        if (sim_chance(sim, PPM / 2)) {
            nemesis_fell(sim, node, wipes, sim_between(sim, 200, patience_ms));
            wipes = false;
        }
    }
    if (sim->rulers[ruler].host.alive) {
        host_crash(sim, SIM_NODES_MAX + ruler);
    }
}

/* Every agent in turn, as an upgrade does it. The first one goes now, the others by and by. */
static void roll(struct sim *sim, uint32_t node)
{
    if (sim->faults_over || node >= sim->mix.nodes) {
        return;
    }
    uint32_t down_ms = sim_between(sim, 50, 1500);
    if (node == 0) {
        sim_fault(sim, FAULT_ROLLING);
    }
    nemesis_fell(sim, node, false, down_ms);
    sim_later(sim, down_ms + sim_between(sim, 100, 1500), TURN_NEMESIS, node + 1, 0,
              (uint32_t)FAULT_ROLLING, NULL);
}

static void stall(struct sim *sim)
{
    uint32_t index = sim_between(sim, 0, sim->mix.nodes);
    uint32_t for_ms = sim_between(sim, 4000, sim_chance(sim, PPM / 4) ? 150000 : 30000);
    if (index == sim->mix.nodes) {
        index = SIM_NODES_MAX + sim->front;
    }
    if (host_at(sim, index)->alive) {
        pause_host(sim, index, FAULT_LONG_STALL, for_ms);
    }
}

/* Another coordinator starts while the old one lives: stopped, cut off, or simply there. */
static void second_ruler(struct sim *sim)
{
    uint32_t old = sim->front;
    uint32_t ruler;
    if (!sim->rulers[old].host.alive) {
        return;
    }
    if (sim_chance(sim, PPM / 2)) {
        pause_host(sim, SIM_NODES_MAX + old, FAULT_COORDINATOR_PAUSE, sim_between(sim, 50, 4000));
    }
    if (ruler_start(sim, &ruler)) {
        sim_fault(sim, FAULT_TWO_COORDINATORS);
    }
}

static void fail_job(struct sim *sim)
{
    for (uint32_t tries = 0; tries < 24; tries++) {
        struct sim_job *job = &sim->jobs[sim_between(sim, 0, sim->mix.runs - 1)];
        uint32_t rank = sim_between(sim, 0, job->world - 1);
        if (job->ranks[rank].phase == RANK_OFF) {
            continue;
        }
        sim_fault(sim, FAULT_JOB_FAILS);
        rank_kill(sim, job, rank);
        job_fail(sim, job, sim_between(sim, 20, 1500));
        return;
    }
}

static void strike_host(struct sim *sim, enum fault_kind kind)
{
    uint32_t index;
    if (kind == FAULT_AGENT_PAUSE || kind == FAULT_AGENT_CRASH_MID_UPDATE) {
        if (!pick_node(sim, &index)) {
            return;
        }
    } else {
        if (!pick_ruler(sim, &index)) {
            return;
        }
        index += SIM_NODES_MAX;
    }
    if (kind == FAULT_AGENT_PAUSE || kind == FAULT_COORDINATOR_PAUSE) {
        pause_host(sim, index, kind, sim_between(sim, 50, 4000));
    } else if (kind == FAULT_COORDINATOR_CRASH && sim->mix.store_delay_max_ms > 0 &&
               sim_chance(sim, PPM / 2)) {
        host_at(sim, index)->crash_in_commit = true;
    } else if (kind == FAULT_COORDINATOR_CRASH) {
        sim_fault(sim, kind);
        host_crash(sim, index);
    } else {
        host_at(sim, index)->crash_in = sim_between(sim, 1, 20);
    }
}

void nemesis_strike(struct sim *sim, enum fault_kind kind, uint32_t who)
{
    if (sim->faults_over) {
        return;
    }
    if (who > 0) {
        roll(sim, who);
        return;
    }
    arm(sim, kind, sim->mix.gap_ms[kind]);
    if (kind == FAULT_LATE_RETURN) {
        return_late(sim);
    } else if (kind == FAULT_ROLLING) {
        roll(sim, 0);
    } else if (kind == FAULT_LONG_STALL) {
        stall(sim);
    } else if (kind == FAULT_PARTITION || kind == FAULT_ONE_WAY) {
        partition(sim, kind == FAULT_ONE_WAY);
    } else if (kind == FAULT_SWIZZLE) {
        swizzle(sim);
    } else if (kind == FAULT_LINK_CUT) {
        cut_link(sim);
    } else if (kind == FAULT_AGENT_CRASH || kind == FAULT_WIPE) {
        crash_agent(sim, kind == FAULT_WIPE);
    } else if (kind == FAULT_TWO_COORDINATORS) {
        second_ruler(sim);
    } else if (kind == FAULT_FLIP_SOURCE || kind == FAULT_FLIP_HOLDER) {
        if (memory_flip(sim, kind == FAULT_FLIP_SOURCE)) {
            sim_fault(sim, kind);
        }
    } else if (kind == FAULT_JOB_FAILS) {
        fail_job(sim);
    } else if (kind == FAULT_RANK_DIES_FILLING) {
        sim->next_fill_dies = true;
    } else if (kind >= FAULT_TIER_FULL && kind <= FAULT_TIER_LATE) {
        tier_strike(sim, kind);
    } else if (kind >= FAULT_ADMIN) {
        operator_strike(sim, kind);
    } else {
        strike_host(sim, kind);
    }
}

/* Everything is mended: what stood still goes on, what was apart meets. */
void nemesis_stop(struct sim *sim)
{
    for (uint32_t heal = 0; heal < SIM_HEALS_MAX; heal++) {
        nemesis_heal(sim, heal);
    }
    bool ruled = false;
    tier_mend(sim);
    for (uint32_t index = 0; index < SIM_HOSTS_MAX; index++) {
        struct sim_host *host = host_at(sim, index);
        host->paused = false;
        host_return(sim, host);
        host->crash_in = 0;
        host->crash_in_commit = false;
        host_wake(sim, index);
        if (index >= SIM_NODES_MAX && host->alive) {
            ruled = true;
            sim->front = sim->rulers[sim->front].host.alive ? sim->front : index - SIM_NODES_MAX;
        }
    }
    uint32_t ruler;
    if (!ruled) {
        (void)ruler_start(sim, &ruler);
    }
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        if (!sim->nodes[node].host.alive) {
            node_start(sim, node);
        }
    }
}
