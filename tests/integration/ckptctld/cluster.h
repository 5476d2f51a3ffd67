/* SPDX-License-Identifier: Apache-2.0 */
/* A coordinator process, and agents that are played by the test. */
#ifndef TESTS_INTEGRATION_CKPTCTLD_CLUSTER_H
#define TESTS_INTEGRATION_CKPTCTLD_CLUSTER_H

#include <jansson.h>

#include "integration/peer.h"
#include "integration/process.h"

struct cluster {
    char directory[64];
    char socket[96];
    char address[128]; /* of the running coordinator */
    struct process coordinator;
};

/* A directory of its own; for cmocka's set-up and tear-down, with *state. */
int cluster_make(void **state);
int cluster_clear(void **state);

/* Starts the coordinator and waits until it is ready. extra: one more argument, or NULL; fault:
 * what CKPT_FAULT says, or NULL. */
void cluster_start(struct cluster *cluster, const char *extra, const char *fault);

/* The same without waiting: for starts that are to fail. */
void cluster_launch(struct cluster *cluster, const char *extra, const char *fault);

/* SIGTERM, and a clean end. */
void cluster_stop(struct cluster *cluster);

/* One played agent: node and domain "node<number>", incarnation of `life`. */
struct agent_player {
    struct peer peer;
    uint32_t number;
    struct message join; /* as it would be said again, with the cluster's id */
};

/* Connects and joins; the test fails when it is not welcomed. */
void player_join(struct agent_player *player, const struct cluster *cluster, uint32_t number,
                 uint8_t life);
/* Once more on the same connection, with the id that it was told. */
void player_join_again(struct agent_player *player);
void player_leave(struct agent_player *player);

#define PLAYER_RUN "team/llama"
#define PLAYER_UID 1234

/* A report of a rank's shard of the run's attempt 1: world 2, two copies, one digest for each
 * (step, rank). */
bool player_report(struct agent_player *player, uint64_t step, uint32_t rank, bool owner,
                   enum copy_state state, uint64_t order);
struct digest player_digest(uint64_t step, uint32_t rank);

/* Plays both agents' part of saving a step, rank i on player i, until both were told CONSISTENT.
 * False as soon as a connection ends; *told_out (which may be NULL) says whether anybody was told
 * by then. */
bool players_save(struct agent_player players[2], uint64_t step, bool *told_out);

/* Asks for the checkpoint; the test fails without an answer. */
struct message_checkpoint_info player_ask(struct agent_player *player, uint64_t step);

/* Asks the coordinator at an address as ckptctl does. The status, and the document (or NULL) in
 * *document_out, for json_decref. */
enum ckpt_status cluster_ask(const char *address, const struct message_admin_ask *ask,
                             json_t **document_out);

#endif
