/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's machine with as many agents as wanted, all simulated in one thread: what each
 * agent says next is what a real one would, at once and without loss. The time is that of the
 * machine's calls with the reading of their outputs; making the messages is left out. The tables
 * are the defaults where these are large enough. */
#ifndef CKPTBENCH_FLEET_H
#define CKPTBENCH_FLEET_H

#include <stdint.h>

#include <ckpt/status.h>

#include "base/limits.h"

struct fleet_options {
    uint32_t agents;
    uint32_t ranks_per_agent;
    uint32_t agents_per_domain;
    uint32_t others; /* checkpoints of other runs in the tables, FLEET_KEEP of each */
};

#define FLEET_KEEP 16 /* where there are others */

/* Seconds of this thread's CPU time, and what was said. */
struct fleet_cost {
    double join_s;      /* all agents join */
    double save_s;      /* all ranks seal: the orders to pull */
    double verify_s;    /* both copies of each shard reported, the commit, its record read */
    double next_s;      /* another checkpoint, to its commit, which retires the first */
    double heartbeat_s; /* a heartbeat of each agent, and a tick; the mean of some rounds */
    uint64_t events;    /* in save, verify */
    uint64_t memory_bytes;
};

/* Runs once. CKPT_ERR_INTERNAL, with the reason (CKPT_REASON_MAX + 1 bytes): the machine did not do
 * what it had to. */
enum ckpt_status fleet_run(const struct fleet_options *options, struct fleet_cost *cost_out,
                           char *reason);

#endif
