/* SPDX-License-Identifier: Apache-2.0 */
/* Thousands of agents under one real coordinator: the agents' own machines (src/agent), each with
 * a session of its own over TCP, in this process. What a node has beside its machine is played:
 * memory is not there, a digest or a read is done at once and ends with a digest made up of the
 * shard's name, agents speak to each other by a queue, ranks ask, seal and wait.
 *
 * One thread; nothing is kept anywhere. */
#ifndef CKPTBENCH_REAL_FLEET_H
#define CKPTBENCH_REAL_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include <ckpt/status.h>

struct real_fleet;

struct real_fleet_options {
    const char *coordinator; /* HOST:PORT */
    uint32_t agents;
    uint32_t ranks; /* of one run, on each agent */
    uint32_t copies;
    uint32_t keep; /* as the coordinator's: the arenas are made for it */
    uint32_t agents_per_domain;
};

struct real_fleet_counters {
    uint64_t frames_sent; /* to the coordinator */
    uint64_t frames_received;
    uint32_t joined; /* now */
};

/* Makes the agents and lets them connect.
 * On failure reason (CKPT_REASON_MAX + 1 bytes) says what. */
enum ckpt_status real_fleet_open(const struct real_fleet_options *options,
                                 struct real_fleet **fleet_out, char *reason);
void real_fleet_close(struct real_fleet **fleet);

/* Lets the fleet live for so long. CKPT_ERR_LINK: an agent was refused or lost its coordinator,
 * with the reason. */
enum ckpt_status real_fleet_live(struct real_fleet *fleet, double seconds, char *reason);

/* ... until all agents have joined and all their ranks have opened. CKPT_ERR_TIMEOUT after
 * timeout_s. */
enum ckpt_status real_fleet_join(struct real_fleet *fleet, double timeout_s, char *reason);

/* Every rank saves the next step, at once; ends when every rank has heard that it is consistent. An
 * error when any rank is refused or told otherwise; CKPT_ERR_TIMEOUT after timeout_s. */
enum ckpt_status real_fleet_save(struct real_fleet *fleet, double timeout_s, char *reason);

struct real_fleet_counters real_fleet_counters(const struct real_fleet *fleet);

#endif
