/* SPDX-License-Identifier: Apache-2.0 */
/* What agents may say that is not so: the coordinator goes on. tests/storm found these. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/coordinator/cluster.h"

CLUSTER_OF(2)

/* It made no copy, whatever it says: its checkpoint ends as it does after other failures. */
static void a_failure_with_the_status_ok_is_a_failure(void **state)
{
    (void)state;
    struct message m = cluster_report(1, 10, 0, 1, COPY_SEALED, true, 7);
    cluster_message(&cluster, 0, &m);
    uint32_t failures = 0;
    for (uint32_t i = 0; i < 100 && failures < 6; i++) {
        const struct message *order = cluster_find(&cluster, 1, MESSAGE_PULL_ORDER);
        if (order == NULL) {
            struct message heartbeat = {.type = MESSAGE_HEARTBEAT, .heartbeat.segments_free = 16};
            cluster_tick(&cluster, 100);
            if (cluster_find(&cluster, 1, MESSAGE_PULL_ORDER) == NULL) {
                cluster_message(&cluster, i % 2, &heartbeat);
            }
            continue;
        }
        struct message failed = {.type = MESSAGE_PULL_FAILED};
        failed.pull_failed.order = order->pull_order.order;
        failed.pull_failed.shard = order->pull_order.shard;
        failed.pull_failed.status = CKPT_OK;
        cluster_message(&cluster, 1, &failed);
        failures++;
    }
    assert_int_equal(failures, 6); /* pull_attempts_max */
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_ABORTED);
}

static void join_without_room(uint32_t node)
{
    struct message m = {.type = MESSAGE_JOIN};
    m.join.protocol = WIRE_PROTOCOL_VERSION;
    snprintf(m.join.node, sizeof(m.join.node), "n%u", node);
    snprintf(m.join.domain, sizeof(m.join.domain), "d%u", node);
    snprintf(m.join.address, sizeof(m.join.address), "127.0.0.1:%u", 7000 + node);
    m.join.segment_bytes = 1 << 20;
    m.join.segments = 16;
    cluster_message(&cluster, node, &m);
}

/* Copies that never count may take all the places that are kept for a shard: it waits for one. */
static void a_shard_whose_places_are_all_taken_waits(void **state)
{
    (void)state;
    struct message m = cluster_report(1, 10, 0, 1, COPY_SEALED, true, 7);
    m.shard_report.copies = 3;
    cluster_message(&cluster, 0, &m);
    assert_non_null(cluster_find(&cluster, 1, MESSAGE_PULL_ORDER));
    for (uint32_t node = 2; node < 6; node++) {
        join_without_room(node);
        m = cluster_report(1, 10, 0, 1, COPY_ADOPTED, false, 7);
        m.shard_report.copies = 3;
        m.shard_report.cached = true;
        cluster_message(&cluster, node, &m);
    }
    cluster_join(&cluster, 6, 7);
    cluster_tick(&cluster, 600);
    assert_null(cluster_find(&cluster, 6, MESSAGE_PULL_ORDER));
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_VERIFYING);
}

/* A copy that is told of as another, which nobody ordered, counts no more until it is proven. */
static void a_copy_that_became_another_counts_no_more(void **state)
{
    (void)state;
    struct message m = cluster_report(1, 10, 0, 2, COPY_SEALED, true, 7);
    cluster_message(&cluster, 0, &m);
    const struct message *order = cluster_find(&cluster, 1, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    struct message holder = cluster_report(1, 10, 0, 2, COPY_VERIFIED, false, 7);
    holder.shard_report.order = order->pull_order.order;
    m = cluster_report(1, 10, 0, 2, COPY_VERIFIED, true, 7);
    cluster_message(&cluster, 0, &m);
    cluster_message(&cluster, 1, &holder);
    assert_int_equal(cluster_checkpoint(&cluster, 10).shards_ready, 1);

    holder.shard_report.order = 0;
    holder.shard_report.generation++;
    cluster_message(&cluster, 1, &holder);
    const struct message *verify = cluster_find(&cluster, 1, MESSAGE_VERIFY_ORDER);
    assert_non_null(verify);
    uint64_t proof = verify->verify_order.order;
    assert_int_equal(cluster_checkpoint(&cluster, 10).shards_ready, 0);

    m = cluster_report(1, 10, 1, 2, COPY_SEALED, true, 8);
    cluster_message(&cluster, 1, &m);
    order = cluster_find(&cluster, 0, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    struct message other = cluster_report(1, 10, 1, 2, COPY_VERIFIED, false, 8);
    other.shard_report.order = order->pull_order.order;
    m = cluster_report(1, 10, 1, 2, COPY_VERIFIED, true, 8);
    cluster_message(&cluster, 1, &m);
    cluster_message(&cluster, 0, &other);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_VERIFYING);

    holder.shard_report.order = proof;
    cluster_message(&cluster, 1, &holder);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_failure_with_the_status_ok_is_a_failure, cluster),
        MACHINE_TEST(a_shard_whose_places_are_all_taken_waits, cluster),
        MACHINE_TEST(a_copy_that_became_another_counts_no_more, cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
