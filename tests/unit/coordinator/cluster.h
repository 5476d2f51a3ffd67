/* SPDX-License-Identifier: Apache-2.0 */
/* A coordinator and hand-driven agents: each call is one event,
 * the last update can be looked at. */
#ifndef CKPT_TESTS_COORDINATOR_CLUSTER_H
#define CKPT_TESTS_COORDINATOR_CLUSTER_H

#include "coordinator/coordinator.h"
#include "unit/machine.h"

struct cluster {
    struct coordinator *c;
    void *memory;
    uint64_t now_ms;
    uint64_t wall_ms;            /* of the next events */
    struct digest_secret secret; /* of the next run; the first byte counts the used ones */
    struct coordinator_update update;
};

void cluster_start(struct cluster *cluster, uint32_t keep);
/* The same, which keeps two checkpoints, with so many nodes, each in its domain. */
void cluster_start_nodes(struct cluster *cluster, uint32_t nodes);
/* The same, with records of the store replayed. */
void cluster_start_with(struct cluster *cluster, uint32_t keep,
                        const struct coordinator_record *records, uint32_t count);
/* The same, with a config that was changed. */
void cluster_config(struct coordinator_config *config_out, uint32_t keep);
void cluster_start_config(struct cluster *cluster, struct coordinator_config config,
                          const struct coordinator_record *records, uint32_t count);
void cluster_stop(struct cluster *cluster);
void cluster_message(struct cluster *cluster, uint32_t node, const struct message *message);
void cluster_tick(struct cluster *cluster, uint64_t ms);
void cluster_join(struct cluster *cluster, uint32_t node, uint8_t life);
void cluster_join_domain(struct cluster *cluster, uint32_t node, uint8_t life, uint32_t domain);
/* As cluster_join; its agent takes no new shards. */
void cluster_join_closed(struct cluster *cluster, uint32_t node, uint8_t life);
/* A heartbeat of each of the first nodes, but for those whose bit is set in away: all that they
 * hold is told. */
void cluster_alive(struct cluster *cluster, uint32_t nodes, uint32_t away);
/* Time passes in steps of half a second, each with such heartbeats. */
void cluster_pass(struct cluster *cluster, uint64_t ms, uint32_t nodes, uint32_t away);
void cluster_disconnect(struct cluster *cluster, uint32_t node);

/* How these tests name starts by their attempt, and processes by it and their rank. */
struct nonce cluster_start_name(uint32_t attempt);
struct nonce cluster_seat_name(uint32_t attempt, uint32_t rank);
/* All ranks of the attempt are seated, rank i on node i. */
void cluster_seat(struct cluster *cluster, uint32_t attempt, uint32_t world);

/* The file's cluster, of so many nodes, for MACHINE_TEST(test, cluster). */
#define CLUSTER_OF(nodes)                                                                          \
    static struct cluster cluster;                                                                 \
    static int cluster_setup(void **state)                                                         \
    {                                                                                              \
        cluster_start_nodes(&cluster, nodes);                                                      \
        *state = &cluster;                                                                         \
        return 0;                                                                                  \
    }                                                                                              \
    static int cluster_teardown(void **state)                                                      \
    {                                                                                              \
        cluster_stop(*state);                                                                      \
        return 0;                                                                                  \
    }

/* A report of rank's shard of step by node: node n has link n, life n. */
struct message cluster_report(uint32_t attempt, uint64_t step, uint32_t rank, uint32_t world,
                              enum copy_state state, bool owner, uint8_t digest);
/* The last update's message of a type to a node; NULL: none. Counts with cluster_count. */
const struct message *cluster_find(const struct cluster *cluster, uint32_t node,
                                   enum message_type type);
uint32_t cluster_count(const struct cluster *cluster, enum message_type type);
uint32_t cluster_records(const struct cluster *cluster, enum coordinator_record_type type);
/* Saves step with world ranks, rank i on node i, copies verified by whom the coordinator orders. */
void cluster_save(struct cluster *cluster, uint32_t attempt, uint64_t step, uint32_t world);
struct coordinator_checkpoint_view cluster_checkpoint(const struct cluster *cluster, uint64_t step);

#endif
