/* SPDX-License-Identifier: Apache-2.0 */
/* A node whose agent takes no new shards: nothing is placed there, and what it has counts. */
#include "unit/coordinator/cluster.h"

#include <stdio.h>
#include <string.h>

static struct cluster cluster;

static int start(void **state)
{
    (void)state;
    cluster_start_nodes(&cluster, 3);
    cluster_save(&cluster, 1, 10, 1); /* on n0, whose rank it is, and n1 */
    cluster_alive(&cluster, 3, 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

static void join_again_closed(uint32_t node)
{
    cluster_disconnect(&cluster, node);
    cluster_join_closed(&cluster, node, (uint8_t)(node + 1));
}

/* What n1 holds of step 10, which it finds at its start. */
static void finds_its_copy(void)
{
    struct message m = cluster_report(1, 10, 0, 1, COPY_ADOPTED, false, 10);
    cluster_message(&cluster, 1, &m);
    m.shard_report.state = COPY_VERIFIED;
    cluster_message(&cluster, 1, &m);
    cluster_alive(&cluster, 3, 0);
}

/* n1 is the next domain after n0, and is passed over. */
static void no_copy_is_placed_there(void **state)
{
    (void)state;
    join_again_closed(1);
    struct message m = cluster_report(1, 20, 0, 1, COPY_SEALED, true, 20);
    cluster_message(&cluster, 0, &m);
    assert_null(cluster_find(&cluster, 1, MESSAGE_PULL_ORDER));
    assert_non_null(cluster_find(&cluster, 2, MESSAGE_PULL_ORDER));
}

static void where_all_others_are_closed_a_save_waits_for_its_copy(void **state)
{
    (void)state;
    join_again_closed(1);
    join_again_closed(2);
    struct message m = cluster_report(1, 20, 0, 1, COPY_SEALED, true, 20);
    cluster_message(&cluster, 0, &m);
    assert_int_equal(cluster_count(&cluster, MESSAGE_PULL_ORDER), 0);
    m = cluster_report(1, 20, 0, 1, COPY_VERIFIED, true, 20);
    cluster_message(&cluster, 0, &m);
    cluster_pass(&cluster, 2000, 3, 0);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_VERIFYING);
    cluster_disconnect(&cluster, 2);
    cluster_join(&cluster, 2, 3); /* mended, and started again */
    for (int i = 0; i < 20 && cluster_find(&cluster, 2, MESSAGE_PULL_ORDER) == NULL; i++) {
        cluster_tick(&cluster, 100);
    }
    assert_non_null(cluster_find(&cluster, 2, MESSAGE_PULL_ORDER));
}

/* It serves what it holds: its copy is found again, and counts. */
static void a_copy_that_is_there_counts(void **state)
{
    (void)state;
    join_again_closed(1);
    finds_its_copy();
    assert_false(cluster_checkpoint(&cluster, 10).degraded);
    struct coordinator_member_view view;
    uint32_t closed = 0;
    for (uint32_t i = 0; i < coordinator_member_count(cluster.c); i++) {
        if (coordinator_member_view(cluster.c, i, &view)) {
            assert_int_equal(view.closed,
                             strcmp(view.node, "n1") == 0 ? AGENT_CLOSED_SLOW : AGENT_OPEN);
            closed += view.closed != AGENT_OPEN;
        }
    }
    assert_int_equal(closed, 1);
}

/* A closed node can be drained as any other. */
static void it_may_be_drained(void **state)
{
    (void)state;
    join_again_closed(1);
    finds_its_copy();
    struct message_admin_ask ask = {.verb = ADMIN_NODE_DRAIN};
    ask.run.uid = 1000;
    snprintf(ask.run.name, sizeof ask.run.name, "run");
    snprintf(ask.node, sizeof ask.node, "n1");
    struct coordinator_event event = {
        .type = COORDINATOR_ADMIN, .now_ms = cluster.now_ms, .admin = &ask};
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_OK);
    assert_non_null(cluster_find(&cluster, 2, MESSAGE_PULL_ORDER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_copy_is_placed_there, start, stop),
        cmocka_unit_test_setup_teardown(where_all_others_are_closed_a_save_waits_for_its_copy,
                                        start, stop),
        cmocka_unit_test_setup_teardown(a_copy_that_is_there_counts, start, stop),
        cmocka_unit_test_setup_teardown(it_may_be_drained, start, stop),
    };
    return cmocka_run_group_tests_name("closed", tests, NULL, NULL);
}
