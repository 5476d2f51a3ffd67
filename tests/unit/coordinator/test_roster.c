/* SPDX-License-Identifier: Apache-2.0 */
/* Names of nodes that are gone leave the table; where copies belong does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "unit/coordinator/cluster.h"

#define AGENTS_MAX 8 /* cluster.c's */
#define LEASE_MS 3000

static bool listed(const struct cluster *cluster, const char *node, bool *joined_out)
{
    struct coordinator_member_view view;
    for (uint32_t i = 0; i < coordinator_member_count(cluster->c); i++) {
        if (coordinator_member_view(cluster->c, i, &view) && strcmp(view.node, node) == 0) {
            *joined_out = view.joined;
            return true;
        }
    }
    return false;
}

/* The first `count` agents live on for so long. */
static void live(struct cluster *cluster, uint32_t count, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 1000) {
        cluster_tick(cluster, 1000);
        for (uint32_t node = 0; node < count; node++) {
            struct message beat = {.type = MESSAGE_HEARTBEAT, .heartbeat.segments_free = 8};
            cluster_message(cluster, node, &beat);
        }
    }
}

static const struct message_welcome *join(struct cluster *cluster, uint32_t node)
{
    cluster_join(cluster, node, (uint8_t)(node + 1));
    const struct message *welcome = cluster_find(cluster, node, MESSAGE_WELCOME);
    assert_non_null(welcome);
    return &welcome->welcome;
}

static void a_full_table_of_lost_names_takes_a_new_node(void **state)
{
    (void)state;
    struct cluster cluster;
    bool joined;
    cluster_start(&cluster, 1);
    for (uint32_t node = 0; node < AGENTS_MAX; node++) {
        assert_int_equal(join(&cluster, node)->status, CKPT_OK);
    }
    assert_int_equal(join(&cluster, 100)->status, CKPT_ERR_FULL);
    cluster_save(&cluster, 1, 10, 2); /* ranks on n0, n1; copies on n1, n2 */
    live(&cluster, 5, 1000);
    live(&cluster, 4, 2 * LEASE_MS); /* n5, n6, n7 are gone, and somewhat later n4 */
    for (uint32_t node = 100; node < 104; node++) {
        assert_int_equal(join(&cluster, node)->status, CKPT_OK);
        char oldest[16];
        snprintf(oldest, sizeof oldest, "n%u", node < 103 ? node - 95 : 4);
        assert_false(listed(&cluster, oldest, &joined));
    }
    assert_int_equal(join(&cluster, 104)->status, CKPT_ERR_FULL);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
    assert_false(cluster_checkpoint(&cluster, 10).degraded);
    cluster_stop(&cluster);
}

/* To whom copies belong is forgotten last, and then they are still known to be there. */
static void where_copies_belong_outlives_the_name(void **state)
{
    (void)state;
    struct cluster cluster;
    bool joined;
    cluster_start(&cluster, 1);
    for (uint32_t node = 0; node < AGENTS_MAX; node++) {
        (void)join(&cluster, node);
    }
    cluster_save(&cluster, 1, 10, 2);
    struct message beat = {.type = MESSAGE_HEARTBEAT, .heartbeat.segments_free = 8};
    cluster_tick(&cluster, 1000);
    cluster_message(&cluster, 7, &beat);
    cluster_message(&cluster, 6, &beat);
    live(&cluster, 0, 2 * LEASE_MS); /* n0 and its holders were heard less lately than n6, n7 */
    assert_true(listed(&cluster, "n0", &joined) && !joined);
    (void)join(&cluster, 100);
    (void)join(&cluster, 101);
    assert_true(listed(&cluster, "n0", &joined));
    assert_true(listed(&cluster, "n1", &joined));
    for (uint32_t node = 102; node < 108; node++) {
        assert_int_equal(join(&cluster, node)->status, CKPT_OK);
    }
    assert_false(listed(&cluster, "n0", &joined));
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
    struct message ask = {.type = MESSAGE_LOAD_ASK};
    ask.load_ask.run = cluster_report(1, 10, 0, 2, COPY_VERIFIED, true, 0).shard_report.shard.run;
    ask.load_ask.attempt = 2;
    ask.load_ask.world = 2;
    ask.load_ask.step = CKPT_STEP_LATEST;
    ask.load_ask.collective = true;
    ask.load_ask.load = 1;
    cluster_message(&cluster, 100, &ask);
    live(&cluster, 0, 1000);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
    cluster_stop(&cluster);
}

static void a_name_is_off_the_list_after_a_day(void **state)
{
    (void)state;
    struct cluster cluster;
    bool joined;
    cluster_start(&cluster, 1);
    (void)join(&cluster, 0);
    (void)join(&cluster, 1);
    (void)join(&cluster, 2);
    cluster_save(&cluster, 1, 10, 2);
    (void)join(&cluster, 3);
    live(&cluster, 3, 20000);
    assert_true(listed(&cluster, "n3", &joined) && !joined);
    live(&cluster, 3, 24 * 3600 * 1000);
    assert_false(listed(&cluster, "n3", &joined));
    assert_true(listed(&cluster, "n2", &joined) && joined);
    assert_int_equal(join(&cluster, 3)->status, CKPT_OK);
    cluster_stop(&cluster);
}

/* Its place in the old domain is closed, and the domain's name is free when it was the last. */
static void a_node_moves_to_another_domain_when_it_comes_back(void **state)
{
    (void)state;
    struct cluster cluster;
    struct coordinator_member_view view;
    cluster_start(&cluster, 1);
    (void)join(&cluster, 0);
    for (uint32_t turn = 0; turn < 3 * AGENTS_MAX; turn++) {
        live(&cluster, 0, 2 * LEASE_MS);
        cluster_join_domain(&cluster, 0, 1, 10 + turn);
        assert_int_equal(cluster_find(&cluster, 0, MESSAGE_WELCOME)->welcome.status, CKPT_OK);
        char domain[16];
        snprintf(domain, sizeof domain, "d%u", 10 + turn);
        assert_true(coordinator_member_view(cluster.c, 0, &view));
        assert_string_equal(view.domain, domain);
    }
    cluster_join_domain(&cluster, 0, 1, 99); /* not while it is joined */
    assert_int_equal(cluster_find(&cluster, 0, MESSAGE_WELCOME)->welcome.status, CKPT_ERR_INVALID);
    cluster_stop(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_table_of_lost_names_takes_a_new_node),
        cmocka_unit_test(where_copies_belong_outlives_the_name),
        cmocka_unit_test(a_name_is_off_the_list_after_a_day),
        cmocka_unit_test(a_node_moves_to_another_domain_when_it_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
