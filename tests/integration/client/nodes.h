/* SPDX-License-Identifier: Apache-2.0 */
/* A coordinator and two agents, each a process, in a directory of their own. */
#ifndef CKPT_TESTS_INTEGRATION_CLIENT_NODES_H
#define CKPT_TESTS_INTEGRATION_CLIENT_NODES_H

#include <stdint.h>

#include <ckpt/ckpt.h>

#include "integration/process.h"

#define NODES 2

struct nodes {
    char directory[64];
    char arenas[NODES][96];
    char sockets[NODES][96];
    char coordinator_address[64];
    struct process coordinator;
    struct process agents[NODES];
};

/* cmocka's setup and teardown of a test; *state is a struct nodes with all of them joined. */
int nodes_start(void **state);
int nodes_stop(void **state);

/* Starts an agent again and waits until it has joined. */
void nodes_start_agent(struct nodes *nodes, uint32_t node);

/* Opens rank 0 of 1 at a node, or fails the test. */
struct ckpt *nodes_open(const struct nodes *nodes, uint32_t node, const char *run, uint32_t attempt,
                        uint32_t timeout_ms);

#endif
