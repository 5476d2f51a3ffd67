/* SPDX-License-Identifier: Apache-2.0 */
/* How whole a checkpoint is now, what it waits for, and when it was. */
#include "unit/coordinator/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define NODES 4
#define WALL_MS UINT64_C(1700000000000)

static struct cluster cluster;

static int start(void **state)
{
    (void)state;
    cluster_start_nodes(&cluster, NODES);
    cluster_alive(&cluster, NODES, 0);
    cluster.wall_ms = WALL_MS;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

static uint32_t index_of(uint64_t step)
{
    struct coordinator_checkpoint_view k;
    for (uint32_t i = 0; i < coordinator_checkpoint_count(cluster.c); i++) {
        if (coordinator_checkpoint_view(cluster.c, i, &k) && k.step == step) {
            return i;
        }
    }
    fail_msg("step %u is not there", (unsigned)step);
    return 0;
}

static struct coordinator_degree_view degree(uint64_t step)
{
    struct coordinator_degree_view view;
    assert_true(coordinator_degree_view(cluster.c, index_of(step), &view));
    return view;
}

static struct coordinator_wait_view wait_of(uint64_t step, uint32_t rank)
{
    struct coordinator_wait_view view;
    assert_true(coordinator_wait_view(cluster.c, index_of(step), rank, &view));
    return view;
}

static struct coordinator_shard_view shard(uint64_t step, uint32_t rank)
{
    struct coordinator_shard_view view;
    assert_true(coordinator_shard_view(cluster.c, index_of(step), rank, &view));
    return view;
}

/* Silent for a lease, and no longer: repair has not begun. */
static void lose(uint32_t away)
{
    cluster_pass(&cluster, 4000, NODES, away);
}

/* The orders to copy each rank's shard, by node; 0: none. */
static uint64_t orders[NODES][NODES];

static void report(uint64_t step, uint32_t rank, uint32_t world, uint32_t copies, uint32_t node,
                   enum copy_state state)
{
    struct message m = cluster_report(1, step, rank, world, state, node == rank, 7);
    m.shard_report.copies = copies;
    m.shard_report.order = orders[rank][node];
    cluster_message(&cluster, node, &m);
}

static void seal(uint64_t step, uint32_t rank, uint32_t world, uint32_t copies)
{
    memset(orders[rank], 0, sizeof(orders[rank]));
    report(step, rank, world, copies, rank, COPY_SEALED);
    for (uint32_t i = 0; i < cluster.update.message_count; i++) {
        const struct coordinator_outgoing *out = &cluster.update.messages[i];
        if (out->message.type == MESSAGE_PULL_ORDER) {
            orders[rank][out->link] = out->message.pull_order.order;
        }
    }
}

static void verify(uint64_t step, uint32_t rank, uint32_t world, uint32_t copies)
{
    report(step, rank, world, copies, rank, COPY_VERIFIED);
    for (uint32_t node = 0; node < NODES; node++) {
        if (orders[rank][node] != 0) {
            report(step, rank, world, copies, node, COPY_VERIFIED);
        }
    }
}

static void save_with_copies(uint64_t step, uint32_t copies)
{
    seal(step, 0, 1, copies);
    verify(step, 0, 1, copies);
    assert_int_equal(cluster_checkpoint(&cluster, step).state, CHECKPOINT_CONSISTENT);
}

static void a_whole_one_is_as_asked(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    assert_int_equal(degree(10).degree, DEGREE_CONSISTENT);
    assert_int_equal(degree(10).copies_fewest, 2);
    assert_int_equal(degree(10).shards_short, 0);
    assert_int_equal(wait_of(10, 0).wait, WAIT_NOTHING);
    assert_int_equal(shard(10, 0).copies_now, 2);
    assert_int_equal(shard(10, 0).home_count, 2);
    struct coordinator_degree_view none;
    assert_false(coordinator_degree_view(cluster.c, 99, &none));
}

/* Of three copies two are left, then one, then none; and each comes back with its node. */
static void each_loss_is_a_degree(void **state)
{
    (void)state;
    save_with_copies(10, 3);
    assert_int_equal(degree(10).degree, DEGREE_CONSISTENT);
    lose(1u << 2);
    assert_int_equal(degree(10).degree, DEGREE_DEGRADED);
    assert_int_equal(degree(10).copies_fewest, 2);
    lose(1u << 2 | 1u << 1);
    assert_int_equal(degree(10).degree, DEGREE_AT_RISK);
    lose(1u << 2 | 1u << 1 | 1u << 0 | 1u << 3);
    assert_int_equal(degree(10).degree, DEGREE_LOST);
    assert_int_equal(degree(10).shards_lost, 1);
    assert_int_equal(degree(10).copies_fewest, 0);
    assert_int_equal(wait_of(10, 0).wait, WAIT_RETURN);
    struct coordinator_shard_view view = shard(10, 0);
    assert_int_equal(view.copies_now, 0);
    assert_int_equal(view.home_count, 3);
    assert_string_equal(view.homes[0].node, "n0");
    assert_false(view.homes[0].joined);
    assert_true(view.homes[0].seen);
    assert_false(view.homes[0].has);
}

static void one_copy_that_was_asked_for_is_no_risk(void **state)
{
    (void)state;
    save_with_copies(10, 1);
    assert_int_equal(degree(10).degree, DEGREE_CONSISTENT);
    lose(1u << 0);
    assert_int_equal(degree(10).degree, DEGREE_LOST);
}

/* The worst shard is the checkpoint's degree. */
static void the_worst_shard_counts(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 3); /* rank r on r and r + 1 */
    lose(1u << 0);
    assert_int_equal(degree(10).degree, DEGREE_AT_RISK);
    assert_int_equal(degree(10).shards_short, 1);
    lose(1u << 0 | 1u << 1);
    assert_int_equal(degree(10).degree, DEGREE_LOST);
    assert_int_equal(degree(10).shards_short, 2);
    assert_int_equal(degree(10).shards_lost, 1);
}

/* Two copies in one domain are one that counts. */
static void a_domain_counts_once(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    cluster_start(&cluster, 2);
    for (uint32_t node = 0; node < NODES; node++) {
        cluster_join_domain(&cluster, node, (uint8_t)(node + 1), node == 1 ? 0 : node);
    }
    cluster_alive(&cluster, NODES, 0);
    cluster_save(&cluster, 1, 10, 1); /* on n0 and on n2 */
    struct message m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, false, 10);
    cluster_message(&cluster, 1, &m);
    lose(1u << 2);
    assert_int_equal(degree(10).degree, DEGREE_AT_RISK);
}

static void repair_is_told_and_over_leaves_no_word(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1); /* on n0 and n1 */
    lose(1u << 1 | 1u << 2 | 1u << 3);
    assert_int_equal(wait_of(10, 0).wait, WAIT_RETURN);
    assert_string_equal(wait_of(10, 0).node, "n1");
    cluster_pass(&cluster, 20000, NODES, 1u << 1 | 1u << 2 | 1u << 3);
    assert_int_equal(wait_of(10, 0).wait, WAIT_DOMAIN);
    assert_string_equal(cluster_checkpoint(&cluster, 10).reason, "");
    cluster_join(&cluster, 3, 4);
    cluster_pass(&cluster, 2000, NODES, 1u << 1 | 1u << 2);
    assert_int_equal(wait_of(10, 0).wait, WAIT_PULL);
    assert_string_equal(wait_of(10, 0).node, "n3");
    assert_string_equal(wait_of(10, 0).from, "n0");
    struct message m = cluster_report(1, 10, 0, 1, COPY_ADOPTED, false, 10);
    cluster_message(&cluster, 3, &m);
    assert_int_equal(wait_of(10, 0).wait, WAIT_DIGEST);
    assert_string_equal(wait_of(10, 0).node, "n3");
    m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, false, 10);
    cluster_message(&cluster, 3, &m);
    assert_int_equal(wait_of(10, 0).wait, WAIT_NOTHING);
    assert_int_equal(degree(10).degree, DEGREE_CONSISTENT);
    assert_string_equal(cluster_checkpoint(&cluster, 10).reason, "");
}

static void a_save_says_whom_it_waits_for(void **state)
{
    (void)state;
    cluster_seat(&cluster, 1, 2);
    struct message m = cluster_report(1, 10, 0, 2, COPY_SEALED, true, 10);
    cluster_message(&cluster, 0, &m);
    assert_int_equal(degree(10).degree, DEGREE_NONE);
    assert_int_equal(wait_of(10, 1).wait, WAIT_SEAL);
    assert_string_equal(wait_of(10, 1).node, "n1");
    assert_int_equal(wait_of(10, 0).wait, WAIT_PULL);
    assert_string_equal(wait_of(10, 0).from, "n0");
    struct coordinator_wait_view view;
    assert_false(coordinator_wait_view(cluster.c, index_of(10), 2, &view));
}

/* What kept a save is over when a copy can be ordered again. */
static void a_reason_ends_with_what_it_told_of(void **state)
{
    (void)state;
    cluster_pass(&cluster, 4000, NODES, 1u << 1 | 1u << 2 | 1u << 3);
    struct message m = cluster_report(1, 10, 0, 2, COPY_SEALED, true, 10);
    cluster_message(&cluster, 0, &m);
    assert_non_null(strstr(cluster_checkpoint(&cluster, 10).reason, "too few failure domains"));
    assert_int_equal(wait_of(10, 0).wait, WAIT_DOMAIN);
    cluster_join(&cluster, 1, 2);
    cluster_pass(&cluster, 1000, NODES, 1u << 2 | 1u << 3);
    assert_int_equal(wait_of(10, 0).wait, WAIT_PULL);
    assert_string_equal(cluster_checkpoint(&cluster, 10).reason, "");
}

static void times_are_of_the_calendar_and_of_the_machine(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    assert_int_equal(cluster_checkpoint(&cluster, 10).wall_ms, WALL_MS);
    assert_int_equal(cluster_checkpoint(&cluster, 10).interval_ms, 0);
    cluster.wall_ms += 60000;
    seal(20, 1, 2, 2);
    cluster_pass(&cluster, 1500, NODES, 0);
    assert_int_equal(cluster_checkpoint(&cluster, 20).open_ms, 1500);
    seal(20, 0, 2, 2);
    cluster_pass(&cluster, 500, NODES, 0);
    verify(20, 0, 2, 2);
    verify(20, 1, 2, 2);
    struct coordinator_checkpoint_view k = cluster_checkpoint(&cluster, 20);
    assert_int_equal(k.state, CHECKPOINT_CONSISTENT);
    assert_int_equal(k.wall_ms, WALL_MS + 60000);
    assert_int_equal(k.interval_ms, 60000);
    assert_int_equal(k.took_ms, 2000);
    assert_int_equal(k.copying_ms, 500);
    assert_int_equal(k.open_ms, 0);
}

/* A calendar that was set back: no interval rather than a negative one. */
static void a_jump_of_the_calendar_changes_nothing(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1);
    cluster.wall_ms = 1000;
    cluster_save(&cluster, 1, 20, 1);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
    assert_int_equal(cluster_checkpoint(&cluster, 20).wall_ms, 1000);
    assert_int_equal(cluster_checkpoint(&cluster, 20).interval_ms, 0);
}

/* Sealed before this coordinator heard of it: nobody knows when. */
static void what_is_told_at_a_join_has_no_duration(void **state)
{
    (void)state;
    cluster_join(&cluster, 0, 1); /* and has not told all that it holds */
    cluster_save(&cluster, 1, 10, 1);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
    assert_int_equal(cluster_checkpoint(&cluster, 10).took_ms, 0);
    assert_int_equal(cluster_checkpoint(&cluster, 10).wall_ms, WALL_MS);
}

static void times_come_back_from_the_records(void **state)
{
    (void)state;
    struct coordinator_record_shard shard_of = {
        .bytes = 4096, .node_count = 2, .nodes = {"n0", "n1"}};
    struct coordinator_record records[3];
    for (uint32_t i = 0; i < 3; i++) {
        records[i] = (struct coordinator_record){.type = RECORD_CONSISTENT,
                                                 .shards = &shard_of,
                                                 .epoch = 4,
                                                 .attempt = 1,
                                                 .step = 10 * (i + 1),
                                                 .world = 1,
                                                 .copies = 2,
                                                 .wall_ms = i == 0 ? 0 : WALL_MS + i * 1000};
        records[i].run = cluster_report(1, 10, 0, 1, COPY_NONE, false, 0).shard_report.shard.run;
    }
    cluster_stop(&cluster);
    cluster_start_with(&cluster, 3, records, 3);
    assert_int_equal(cluster_checkpoint(&cluster, 10).wall_ms, 0);
    assert_int_equal(cluster_checkpoint(&cluster, 20).wall_ms, WALL_MS + 1000);
    assert_int_equal(cluster_checkpoint(&cluster, 20).interval_ms, 0);
    assert_int_equal(cluster_checkpoint(&cluster, 30).interval_ms, 1000);
    assert_int_equal(cluster_checkpoint(&cluster, 30).took_ms, 0);
    assert_int_equal(degree(30).degree, DEGREE_LOST);
    assert_int_equal(wait_of(30, 0).wait, WAIT_RETURN);
    assert_false(shard(30, 0).homes[0].seen);
}

static void the_commits_record_has_the_time(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1);
    assert_int_equal(cluster.update.records[0].type, RECORD_CONSISTENT);
    assert_int_equal(cluster.update.records[0].wall_ms, WALL_MS);
}

int main(void)
{
#define OF_CLUSTER(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        OF_CLUSTER(a_whole_one_is_as_asked),
        OF_CLUSTER(each_loss_is_a_degree),
        OF_CLUSTER(one_copy_that_was_asked_for_is_no_risk),
        OF_CLUSTER(the_worst_shard_counts),
        OF_CLUSTER(a_domain_counts_once),
        OF_CLUSTER(repair_is_told_and_over_leaves_no_word),
        OF_CLUSTER(a_save_says_whom_it_waits_for),
        OF_CLUSTER(a_reason_ends_with_what_it_told_of),
        OF_CLUSTER(times_are_of_the_calendar_and_of_the_machine),
        OF_CLUSTER(a_jump_of_the_calendar_changes_nothing),
        OF_CLUSTER(what_is_told_at_a_join_has_no_duration),
        OF_CLUSTER(times_come_back_from_the_records),
        OF_CLUSTER(the_commits_record_has_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
