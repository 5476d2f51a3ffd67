/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that are to go, that have stopped, and that are forgotten; and a run that is. */
#include "unit/coordinator/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct cluster cluster;

static int start(void **state)
{
    (void)state;
    cluster_start_nodes(&cluster, 3);
    cluster_save(&cluster, 1, 10, 1); /* on n0, whose rank it is, and n1 */
    cluster_alive(&cluster, 3, 0);
    return 0;
}

/* The same, of a coordinator that soon looks whether a run's ranks are still there. */
static int start_expiring(void **state)
{
    (void)state;
    struct coordinator_config config;
    cluster_config(&config, 2);
    config.expire_ms = 1000;
    cluster_start_config(&cluster, config, NULL, 0);
    for (uint32_t node = 0; node < 3; node++) {
        cluster_join(&cluster, node, (uint8_t)(node + 1));
    }
    cluster_save(&cluster, 1, 10, 1);
    cluster_alive(&cluster, 3, 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

static enum ckpt_status admin(enum admin_verb verb, const char *node, bool force)
{
    struct message_admin_ask ask = {.verb = verb, .force = force, .may_page = true};
    ask.run.uid = 1000;
    strcpy(ask.run.name, "run");
    strcpy(ask.node, node);
    struct coordinator_event event = {
        .type = COORDINATOR_ADMIN, .now_ms = cluster.now_ms, .admin = &ask};
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_OK);
    return cluster.update.admin_status;
}

static struct coordinator_drain_view view_of(const char *node)
{
    struct coordinator_drain_view view;
    assert_true(coordinator_drain_view(cluster.c, node, &view));
    return view;
}

static struct coordinator_member_view member_of(const char *node)
{
    struct coordinator_member_view view;
    for (uint32_t i = 0; i < coordinator_member_count(cluster.c); i++) {
        if (coordinator_member_view(cluster.c, i, &view) && strcmp(view.node, node) == 0) {
            return view;
        }
    }
    fail_msg("%s is no member", node);
    return view;
}

static bool is_noted(enum event_id event)
{
    for (uint32_t i = 0; i < cluster.update.note_count; i++) {
        if (cluster.update.notes[i].event == event) {
            return true;
        }
    }
    return false;
}

/* The node carries out the pull that it was ordered last. */
static void pull(uint32_t node, uint64_t step, uint8_t digest)
{
    const struct message *order = cluster_find(&cluster, node, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    assert_int_equal(order->pull_order.shard.step, step);
    struct message m = cluster_report(1, step, 0, 1, COPY_VERIFIED, false, digest);
    m.shard_report.order = order->pull_order.order;
    cluster_message(&cluster, node, &m);
}

static void goodbye(uint32_t node)
{
    struct message m = {.type = MESSAGE_GOODBYE};
    cluster_message(&cluster, node, &m);
}

static void what_is_there_is_copied_elsewhere_before_it_may_go(void **state)
{
    (void)state;
    assert_int_equal(admin(ADMIN_NODE_DRAIN, "n1", false), CKPT_OK);
    assert_int_equal(cluster_records(&cluster, RECORD_DRAINED), 1);
    assert_false(view_of("n1").safe);
    assert_int_equal(view_of("n1").left, 1);
    assert_string_equal(view_of("n1").items[0].why, "is being copied");
    assert_false(cluster_checkpoint(&cluster, 10).degraded); /* nothing is lost */
    pull(2, 10, 10);
    assert_true(view_of("n1").safe);
    const struct message *let_go = cluster_find(&cluster, 1, MESSAGE_LET_GO);
    assert_non_null(let_go);
    assert_null(cluster_find(&cluster, 0, MESSAGE_LET_GO));
    cluster_tick(&cluster, 300);
    assert_true(is_noted(EVENT_node_drained));
    assert_true(member_of("n1").drained);
    assert_int_equal(admin(ADMIN_NODE_DRAIN, "n1", false), CKPT_OK);
    assert_int_equal(cluster.update.record_count, 0);
    assert_int_equal(admin(ADMIN_NODE_DRAIN, "n9", false), CKPT_ERR_NOT_FOUND);
}

/* n0's rank saves on, and who was told that n0 may go is not deceived. */
static void a_save_has_its_copies_apart_from_a_node_that_drains(void **state)
{
    (void)state;
    assert_int_equal(admin(ADMIN_NODE_DRAIN, "n0", false), CKPT_OK);
    pull(2, 10, 10);
    assert_true(view_of("n0").safe);
    struct message m = cluster_report(1, 20, 0, 1, COPY_SEALED, true, 0);
    cluster_message(&cluster, 0, &m);
    assert_int_equal(cluster_count(&cluster, MESSAGE_PULL_ORDER), 2);
    struct cluster ordered = cluster;
    m = cluster_report(1, 20, 0, 1, COPY_VERIFIED, true, 20);
    cluster_message(&cluster, 0, &m);
    assert_int_equal(view_of("n0").saving, 1);
    cluster.update = ordered.update;
    pull(1, 20, 20);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_VERIFYING);
    cluster.update = ordered.update;
    pull(2, 20, 20);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
    assert_true(view_of("n0").safe);
    assert_non_null(cluster_find(&cluster, 0, MESSAGE_LET_GO));
}

static void where_too_few_domains_are_left_saves_go_on_as_before(void **state)
{
    (void)state;
    assert_int_equal(admin(ADMIN_NODE_DRAIN, "n0", false), CKPT_OK);
    pull(2, 10, 10);
    assert_int_equal(admin(ADMIN_NODE_DRAIN, "n1", false), CKPT_OK);
    struct coordinator_drain_view view = view_of("n1");
    assert_false(view.safe);
    assert_int_equal(view.stuck, 1);
    assert_string_equal(view.items[0].why, "wants copies in more failure domains than are left");
    assert_int_equal(view.items[0].step, 10);
    cluster_save(&cluster, 1, 20, 1);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
    assert_int_equal(admin(ADMIN_NODE_UNDRAIN, "n0", false), CKPT_OK);
    assert_int_equal(cluster_records(&cluster, RECORD_UNDRAINED), 1);
    assert_false(member_of("n0").draining);
}

/* Others have room for nothing: a save waits for it as long as a repair would, and no longer. */
static void a_save_does_not_wait_for_ever_for_room_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(admin(ADMIN_NODE_DRAIN, "n0", false), CKPT_OK);
    pull(2, 10, 10);
    struct message full = {.type = MESSAGE_HEARTBEAT};
    full.heartbeat.inventory_told = true;
    cluster_message(&cluster, 2, &full);
    struct message m = cluster_report(1, 20, 0, 1, COPY_SEALED, true, 0);
    cluster_message(&cluster, 0, &m);
    struct coordinator_update ordered = cluster.update;
    m = cluster_report(1, 20, 0, 1, COPY_VERIFIED, true, 20);
    cluster_message(&cluster, 0, &m);
    cluster.update = ordered;
    pull(1, 20, 20);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_VERIFYING);
    for (uint32_t i = 0; i < 40 && cluster_checkpoint(&cluster, 20).state != CHECKPOINT_CONSISTENT;
         i++) {
        cluster_pass(&cluster, 500, 2, 0); /* n0 and n1 */
        cluster_message(&cluster, 2, &full);
    }
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
    assert_false(view_of("n0").safe);
}

/* n1 has no room for its own rank: its saves are given up one for the next, and each leaves room
 * for a moment. That counts as one need, which goes on: n0 is to hold copies again. */
static void saves_that_push_each_other_out_do_not_wait_for_ever(void **state)
{
    (void)state;
    assert_int_equal(admin(ADMIN_NODE_DRAIN, "n0", false), CKPT_OK);
    pull(2, 10, 10);
    struct message need = {
        .type = MESSAGE_NEED,
        .need = {
            .shard = {.run = {.uid = 1000, .name = "run"}, .attempt = 1, .step = 20, .rank = 0},
            .segments = 1}};
    for (uint32_t i = 0; i < 24; i++) {
        struct message alive = {.type = MESSAGE_HEARTBEAT};
        alive.heartbeat.inventory_told = true;
        alive.heartbeat.segments_free = i % 4 == 0; /* one was given up */
        cluster_message(&cluster, 1, &alive);
        cluster_message(&cluster, 1, &need);
        cluster_alive(&cluster, 3, 1u << 1);
        cluster_tick(&cluster, 500);
    }
    cluster_save(&cluster, 1, 20, 1);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
}

/* n0's rank saves, n1 pulls. */
static void save_on_n1(uint64_t step)
{
    struct message m = cluster_report(1, step, 0, 1, COPY_SEALED, true, 0);
    cluster_message(&cluster, 0, &m);
    struct coordinator_update ordered = cluster.update;
    m = cluster_report(1, step, 0, 1, COPY_VERIFIED, true, (uint8_t)step);
    cluster_message(&cluster, 0, &m);
    cluster.update = ordered;
    pull(1, step, (uint8_t)step);
    assert_int_equal(cluster_checkpoint(&cluster, step).state, CHECKPOINT_VERIFYING);
}

/* The turn that ends the wait of two saves makes them consistent, and looks for room for a third.
 * The shards of both are still to be read for the store: neither is given up for it before the next
 * turn. */
static void what_is_committed_in_this_turn_makes_no_room_in_it(void **state)
{
    (void)state;
    assert_int_equal(admin(ADMIN_NODE_DRAIN, "n0", false), CKPT_OK);
    pull(2, 10, 10);
    struct message full = {.type = MESSAGE_HEARTBEAT};
    full.heartbeat.inventory_told = true;
    cluster_message(&cluster, 2, &full);
    save_on_n1(20);
    save_on_n1(30);
    cluster_message(&cluster, 1, &full);
    struct message m = cluster_report(1, 40, 0, 1, COPY_SEALED, true, 0);
    cluster_message(&cluster, 0, &m);
    for (uint32_t i = 0; i < 40 && cluster_records(&cluster, RECORD_CONSISTENT) == 0; i++) {
        cluster_alive(&cluster, 1, 0);
        cluster_message(&cluster, 1, &full);
        cluster_message(&cluster, 2, &full);
        cluster_tick(&cluster, 500);
    }
    assert_int_equal(cluster_records(&cluster, RECORD_CONSISTENT), 2);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 1); /* step 10, by retention */
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
    cluster_tick(&cluster, 250);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 1);
    assert_int_equal(cluster.update.records[0].step, 20);
}

/* n0's rank restores from n0, which is then drained. What the rank restored stays for a while, and
 * goes though nothing more is said of it. */
static void what_was_restored_there_goes_when_its_load_is_long_over(void **state)
{
    (void)state;
    struct message ask = {.type = MESSAGE_LOAD_ASK,
                          .load_ask = {.run = {.uid = 1000, .name = "run"},
                                       .attempt = 2,
                                       .start = cluster_start_name(2),
                                       .seat = cluster_seat_name(2, 0),
                                       .world = 1,
                                       .step = CKPT_STEP_LATEST,
                                       .collective = true,
                                       .load = 1}};
    cluster_seat(&cluster, 2, 1);
    cluster_message(&cluster, 0, &ask);
    const struct message *order = cluster_find(&cluster, 0, MESSAGE_VERIFY_ORDER);
    assert_non_null(order);
    struct message m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 10);
    m.shard_report.order = order->verify_order.order;
    cluster_message(&cluster, 0, &m);
    cluster_tick(&cluster, 1);
    assert_non_null(cluster_find(&cluster, 0, MESSAGE_LOAD_VERDICT));
    assert_int_equal(admin(ADMIN_NODE_DRAIN, "n0", false), CKPT_OK);
    pull(2, 10, 10);
    assert_null(cluster_find(&cluster, 0, MESSAGE_LET_GO));
    uint64_t told_ms = cluster.now_ms;
    while (cluster_find(&cluster, 0, MESSAGE_LET_GO) == NULL) {
        assert_true(cluster.now_ms < told_ms + 10000);
        cluster_alive(&cluster, 3, 0);
        cluster_tick(&cluster, 250);
    }
    assert_true(cluster.now_ms >= told_ms + 4000);
}

static void a_drain_is_known_to_the_next_coordinator(void **state)
{
    (void)state;
    struct coordinator_record records[1];
    assert_int_equal(admin(ADMIN_NODE_DRAIN, "n1", false), CKPT_OK);
    records[0] = cluster.update.records[0];
    records[0].epoch = 4;
    assert_int_equal(records[0].type, RECORD_DRAINED);
    cluster_stop(&cluster);
    cluster_start_with(&cluster, 2, records, 1);
    assert_true(member_of("n1").draining);
    assert_false(member_of("n1").joined);
    for (uint32_t node = 0; node < 3; node++) {
        cluster_join(&cluster, node, (uint8_t)(node + 1));
    }
    assert_true(member_of("n1").draining);
    struct message m = cluster_report(1, 20, 0, 1, COPY_SEALED, true, 0);
    cluster_message(&cluster, 0, &m);
    assert_null(cluster_find(&cluster, 1, MESSAGE_PULL_ORDER));
    assert_non_null(cluster_find(&cluster, 2, MESSAGE_PULL_ORDER));
}

static void who_says_goodbye_has_stopped_and_is_waited_for(void **state)
{
    (void)state;
    goodbye(1);
    assert_true(is_noted(EVENT_agent_stopped));
    assert_false(is_noted(EVENT_agent_lost));
    assert_int_equal(cluster_records(&cluster, RECORD_EPOCH), 1);
    assert_true(member_of("n1").stopped);
    assert_false(member_of("n1").joined);
    assert_true(cluster_checkpoint(&cluster, 10).degraded);
    cluster_pass(&cluster, 1000, 3, 1u << 1);
    assert_int_equal(cluster_count(&cluster, MESSAGE_PULL_ORDER), 0);
    cluster_join(&cluster, 1, 7);
    assert_false(member_of("n1").stopped);
    assert_true(member_of("n1").joined);
}

static void one_that_is_gone_is_forgotten_and_not_waited_for(void **state)
{
    (void)state;
    assert_int_equal(admin(ADMIN_NODE_FORGET, "n1", false), CKPT_ERR_BUSY);
    goodbye(1);
    assert_int_equal(admin(ADMIN_NODE_FORGET, "n1", false), CKPT_OK);
    assert_int_equal(cluster_records(&cluster, RECORD_HOLDERS), 1);
    assert_string_equal(cluster.update.records[0].reason, "n0");
    assert_non_null(cluster_find(&cluster, 2, MESSAGE_PULL_ORDER)); /* repaired at once */
    assert_int_equal(admin(ADMIN_NODE_FORGET, "n1", false), CKPT_ERR_NOT_FOUND);
}

static void the_last_that_has_something_is_forgotten_by_force_alone(void **state)
{
    (void)state;
    goodbye(1);
    goodbye(0);
    assert_int_equal(admin(ADMIN_NODE_FORGET, "n1", false), CKPT_OK); /* n0 may have it */
    assert_int_equal(admin(ADMIN_NODE_FORGET, "n0", false), CKPT_ERR_LOST);
    assert_non_null(strstr(cluster.update.admin_reason, "run run step 10 rank 0"));
    assert_int_equal(member_of("n0").stopped, true);
    assert_int_equal(admin(ADMIN_NODE_FORGET, "n0", true), CKPT_OK);
    assert_non_null(strstr(cluster.update.admin_reason, "belong there alone"));
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
    assert_string_equal(view_of("n0").items[0].why, "has its only copies on nodes that are away");
}

static void a_run_is_forgotten_when_its_ranks_have_gone(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 20, 1);
    assert_int_equal(admin(ADMIN_RUN_FORGET, "", false), CKPT_OK);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 2);
    assert_int_equal(cluster_records(&cluster, RECORD_WITHDRAWN), 1);
    assert_true(is_noted(EVENT_run_forgotten));
    struct message m = cluster_report(1, 20, 0, 1, COPY_VERIFIED, true, 20);
    cluster_message(&cluster, 0, &m); /* late: it does not come back */
    assert_false(cluster_find(&cluster, 0, MESSAGE_SHARD_ACK)->shard_ack.keep);
    cluster_seat(&cluster, 2, 1);
    assert_int_equal(admin(ADMIN_RUN_FORGET, "", false), CKPT_ERR_BUSY);
    assert_non_null(strstr(cluster.update.admin_reason, "1 ranks"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_there_is_copied_elsewhere_before_it_may_go, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_save_has_its_copies_apart_from_a_node_that_drains, start,
                                        stop),
        cmocka_unit_test_setup_teardown(where_too_few_domains_are_left_saves_go_on_as_before, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_save_does_not_wait_for_ever_for_room_elsewhere, start,
                                        stop),
        cmocka_unit_test_setup_teardown(saves_that_push_each_other_out_do_not_wait_for_ever, start,
                                        stop),
        cmocka_unit_test_setup_teardown(what_is_committed_in_this_turn_makes_no_room_in_it, start,
                                        stop),
        cmocka_unit_test_setup_teardown(what_was_restored_there_goes_when_its_load_is_long_over,
                                        start_expiring, stop),
        cmocka_unit_test_setup_teardown(a_drain_is_known_to_the_next_coordinator, start, stop),
        cmocka_unit_test_setup_teardown(who_says_goodbye_has_stopped_and_is_waited_for, start,
                                        stop),
        cmocka_unit_test_setup_teardown(one_that_is_gone_is_forgotten_and_not_waited_for, start,
                                        stop),
        cmocka_unit_test_setup_teardown(the_last_that_has_something_is_forgotten_by_force_alone,
                                        start, stop),
        cmocka_unit_test_setup_teardown(a_run_is_forgotten_when_its_ranks_have_gone, start, stop),
    };
    return cmocka_run_group_tests_name("coordinator_drain", tests, NULL, NULL);
}
