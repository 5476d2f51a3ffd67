/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever operates the cluster, while it fails: verifies and retires, stops agents in order, drains
 * nodes and takes away those that may go, forgets nodes that are gone and runs nobody wants. */
#include <inttypes.h>
#include <string.h>

#include "hosts.h"
#include "judge.h"

static void type(struct sim *sim, const struct message_admin_ask *ask)
{
    uint32_t ruler = sim->front;
    if (!sim->rulers[ruler].host.alive) {
        return;
    }
    struct parcel *parcel = parcel_new(PARCEL_ADMIN);
    parcel->host = SIM_NODES_MAX + ruler;
    parcel->life = sim->rulers[ruler].host.life;
    parcel->admin = *ask;
    parcel->admin.may_page = true;
    sim_trace(sim, "types verb %d node %s run %s", (int)ask->verb, ask->node, ask->run.name);
    sim_later(sim, 0, TURN_PARCEL, 0, 0, 0, parcel);
}

static void type_of_node(struct sim *sim, enum admin_verb verb, uint32_t node)
{
    struct message_admin_ask ask = {.verb = verb};
    ask.force = verb == ADMIN_NODE_FORGET && sim_chance(sim, PPM / 8);
    strcpy(ask.node, sim->nodes[node].name);
    type(sim, &ask);
}

static void verify_or_retire(struct sim *sim)
{
    const struct sim_job *job = &sim->jobs[sim_between(sim, 0, sim->mix.runs - 1)];
    const struct commit *newest = judge_newest(sim, job->run);
    if (!sim->rulers[sim->front].host.alive || !newest) {
        return;
    }
    struct message_admin_ask ask = {.verb = ADMIN_VERIFY, .run = job->key, .step = newest->step};
    ask.blake3 = sim_chance(sim, PPM / 4);
    if (sim_chance(sim, PPM / 2)) {
        ask.verb = ADMIN_RETIRE;
        ask.newer = sim_chance(sim, PPM / 2);
        ask.step = newest->step - 10 * sim_between(sim, 0, 2);
        sim->judge->retire_step[job->run] = true;
        if (ask.newer) {
            sim->judge->retire_newer[job->run] = true;
        }
    }
    sim_fault(sim, FAULT_ADMIN);
    type(sim, &ask);
}

/* The process ends as SIGTERM ends it, and starts anew later. */
static void stop_agent(struct sim *sim, uint32_t index)
{
    struct sim_node *node = &sim->nodes[index];
    if (node->host.alive && !node->host.paused) {
        sim_fault(sim, FAULT_STOP);
        node_stop(sim, index);
    }
}

/* The first node that may go, as the coordinator says; it had better be so. */
static bool find_safe(struct sim *sim, uint32_t *node_out)
{
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        if (judge_says_safe(sim, node)) {
            *node_out = node;
            return true;
        }
    }
    return false;
}

static void drain(struct sim *sim)
{
    uint32_t node;
    judge_drained(sim);
    if (find_safe(sim, &node) && sim_chance(sim, PPM / 2)) {
        if (!sim->mix.keeps_memory) {
            sim_fault(sim, FAULT_DRAINED_WIPED);
            nemesis_fell(sim, node, true, 0);
        }
        return;
    }
    node = sim_between(sim, 0, sim->mix.nodes - 1);
    bool ends = sim->nodes[node].drains && sim_chance(sim, PPM / 2);
    sim_fault(sim, FAULT_DRAIN);
    sim->nodes[node].drains = sim->nodes[node].drains || !ends;
    type_of_node(sim, ends ? ADMIN_NODE_UNDRAIN : ADMIN_NODE_DRAIN, node);
}

/* One that is down, mostly: a person would know. */
static void forget_node(struct sim *sim)
{
    uint32_t node = sim_between(sim, 0, sim->mix.nodes - 1);
    for (uint32_t i = 0; i < sim->mix.nodes && sim->nodes[node].host.alive; i++) {
        node = (node + 1) % sim->mix.nodes;
    }
    sim_fault(sim, FAULT_NODE_FORGOTTEN);
    type_of_node(sim, ADMIN_NODE_FORGET, node);
}

static void forget_run(struct sim *sim)
{
    const struct sim_job *job = &sim->jobs[sim_between(sim, 0, sim->mix.runs - 1)];
    struct message_admin_ask ask = {.verb = ADMIN_RUN_FORGET, .run = job->key};
    sim_fault(sim, FAULT_RUN_FORGOTTEN);
    sim->judge->retire_step[job->run] = true;
    sim->judge->retire_newer[job->run] = true;
    type(sim, &ask);
}

void operator_strike(struct sim *sim, enum fault_kind kind)
{
    if (kind == FAULT_ADMIN) {
        verify_or_retire(sim);
    } else if (kind == FAULT_STOP) {
        stop_agent(sim, sim_between(sim, 0, sim->mix.nodes - 1));
    } else if (kind == FAULT_DRAIN) {
        drain(sim);
    } else if (kind == FAULT_NODE_FORGOTTEN) {
        forget_node(sim);
    } else {
        forget_run(sim);
    }
}

/* What a person has forgotten is not waited for any more. */
void operator_answered(struct sim *sim, const struct message_admin_ask *ask)
{
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        if (ask->verb == ADMIN_NODE_FORGET && strcmp(ask->node, sim->nodes[node].name) == 0) {
            sim->nodes[node].forgotten = true;
        }
    }
}
