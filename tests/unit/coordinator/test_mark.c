/* SPDX-License-Identifier: Apache-2.0 */
/* A person's word on a checkpoint, and the way back out of quarantine. */
#include "unit/coordinator/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct cluster cluster;

static int start(void **state)
{
    (void)state;
    cluster_start_nodes(&cluster, 4);
    cluster_save(&cluster, 1, 10, 1); /* both on n0 and n1 */
    cluster_save(&cluster, 1, 20, 1);
    cluster_alive(&cluster, 4, 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

static enum ckpt_status mark(uint64_t step, enum checkpoint_mark mark)
{
    struct message_admin_ask ask = {.verb = ADMIN_MARK, .step = step, .mark = mark};
    ask.run.uid = 1000;
    strcpy(ask.run.name, "run");
    struct coordinator_event event = {
        .type = COORDINATOR_ADMIN, .now_ms = cluster.now_ms, .admin = &ask};
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_OK);
    return cluster.update.admin_status;
}

static uint64_t latest(void)
{
    struct coordinator_run_view run;
    assert_true(coordinator_run_view(cluster.c, 0, &run));
    return run.has_latest ? run.latest_step : 0;
}

/* The rank of a later attempt asks for the newest step; the order that this makes for its node. */
static const struct message *ask_newest(uint32_t attempt)
{
    struct message m = {.type = MESSAGE_LOAD_ASK};
    m.load_ask.run.uid = 1000;
    strcpy(m.load_ask.run.name, "run");
    m.load_ask.attempt = attempt;
    m.load_ask.start = cluster_start_name(attempt);
    m.load_ask.seat = cluster_seat_name(attempt, 0);
    m.load_ask.world = 1;
    m.load_ask.step = CKPT_STEP_LATEST;
    m.load_ask.collective = true;
    m.load_ask.load = 1;
    cluster_message(&cluster, 0, &m);
    return cluster_find(&cluster, 0, MESSAGE_VERIFY_ORDER);
}

static void go_back_to_10(void)
{
    cluster_seat(&cluster, 2, 1);
    const struct message *order = ask_newest(2);
    assert_non_null(order);
    assert_int_equal(order->verify_order.shard.step, 10);
    struct message m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 10);
    m.shard_report.order = order->verify_order.order;
    cluster_message(&cluster, 0, &m);
    assert_int_equal(cluster_records(&cluster, RECORD_VERDICT), 1);
}

static void a_poisoned_step_is_not_offered_until_it_is_cleared(void **state)
{
    (void)state;
    assert_int_equal(mark(20, MARK_POISONED), CKPT_OK);
    assert_int_equal(cluster_records(&cluster, RECORD_MARK), 1);
    assert_int_equal(cluster_records(&cluster, RECORD_QUARANTINED), 1);
    assert_int_equal(cluster_checkpoint(&cluster, 20).mark, MARK_POISONED);
    assert_int_equal(latest(), 10);
    /* Its copies are as good as ever: the machine does not clear a person's word. */
    struct message m = cluster_report(1, 20, 0, 1, COPY_VERIFIED, true, 20);
    cluster_message(&cluster, 0, &m);
    assert_int_equal(latest(), 10);
    assert_int_equal(mark(20, MARK_NONE), CKPT_OK);
    assert_int_equal(cluster_records(&cluster, RECORD_OFFERED), 1);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
    assert_int_equal(latest(), 20);
}

static void healthy_is_shown_and_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(mark(20, MARK_HEALTHY), CKPT_OK);
    assert_int_equal(cluster_records(&cluster, RECORD_MARK), 1);
    assert_int_equal(cluster.update.record_count, 1);
    assert_int_equal(cluster_checkpoint(&cluster, 20).mark, MARK_HEALTHY);
    assert_int_equal(latest(), 20);
    assert_int_equal(mark(20, MARK_HEALTHY), CKPT_OK);
    assert_int_equal(cluster.update.record_count, 0);
    assert_int_equal(mark(30, MARK_HEALTHY), CKPT_ERR_NOT_FOUND);
}

static void what_is_open_cannot_be_marked(void **state)
{
    (void)state;
    struct message m = cluster_report(1, 30, 0, 1, COPY_SEALED, true, 30);
    cluster_message(&cluster, 0, &m);
    assert_int_equal(mark(30, MARK_POISONED), CKPT_ERR_INVALID);
}

/* `latest` would jump above what the run saves next. */
static void a_run_that_has_gone_back_is_not_moved_forward(void **state)
{
    (void)state;
    assert_int_equal(mark(20, MARK_POISONED), CKPT_OK);
    go_back_to_10();
    assert_int_equal(mark(20, MARK_NONE), CKPT_OK);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_QUARANTINED);
    assert_int_equal(latest(), 10);
    assert_non_null(strstr(cluster.update.admin_reason, "gone on without it"));
}

/* The copies are freed by their own agents' word; the newest step is given up for the older one. */
static void lose_both_copies_of_20(void)
{
    struct message gone = cluster_report(1, 20, 0, 1, COPY_NONE, false, 0);
    cluster_message(&cluster, 1, &gone);
    gone.shard_report.owner = true;
    cluster_message(&cluster, 0, &gone);
    cluster_seat(&cluster, 2, 1);
    for (uint32_t i = 0; i < 60 && latest() == 20; i++) {
        cluster_pass(&cluster, 500, 4, 0);
        (void)ask_newest(2);
    }
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_QUARANTINED);
}

static void the_machines_own_quarantine_ends_when_a_copy_turns_up(void **state)
{
    (void)state;
    lose_both_copies_of_20();
    cluster_join(&cluster, 4, 5);
    struct message m = cluster_report(1, 20, 0, 1, COPY_VERIFIED, false, 20);
    cluster_message(&cluster, 4, &m);
    assert_int_equal(cluster_records(&cluster, RECORD_OFFERED), 1);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
    assert_int_equal(latest(), 20);
}

static void after_a_verdict_it_only_stays_readable(void **state)
{
    (void)state;
    lose_both_copies_of_20();
    go_back_to_10();
    cluster_join(&cluster, 4, 5);
    struct message m = cluster_report(1, 20, 0, 1, COPY_VERIFIED, false, 20);
    cluster_message(&cluster, 4, &m);
    assert_int_equal(cluster_records(&cluster, RECORD_OFFERED), 0);
    assert_int_equal(latest(), 10);
    struct message fetch = {.type = MESSAGE_LOAD_ASK}; /* by its number it is read */
    fetch.load_ask.run.uid = 1000;
    strcpy(fetch.load_ask.run.name, "run");
    fetch.load_ask.step = 20;
    fetch.load_ask.load = 7;
    cluster_message(&cluster, 3, &fetch);
    const struct message *order = cluster_find(&cluster, 3, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    assert_int_equal(order->pull_order.purpose, PULL_FETCH);
}

static void marks_come_back_from_the_records(void **state)
{
    (void)state;
    struct coordinator_record_shard shard = {.bytes = 4096};
    struct coordinator_record records[3] = {{.type = RECORD_CONSISTENT, .shards = &shard},
                                            {.type = RECORD_MARK, .bytes = MARK_POISONED},
                                            {.type = RECORD_QUARANTINED}};
    for (uint32_t i = 0; i < 3; i++) {
        records[i].epoch = 4;
        records[i].run = cluster_report(1, 10, 0, 1, COPY_NONE, false, 0).shard_report.shard.run;
        records[i].attempt = 1;
        records[i].step = 10;
        records[i].world = 1;
        records[i].copies = 2;
    }
    cluster_stop(&cluster);
    cluster_start_with(&cluster, 2, records, 3);
    assert_int_equal(cluster_checkpoint(&cluster, 10).mark, MARK_POISONED);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_QUARANTINED);
}

int main(void)
{
#define OF_CLUSTER(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        OF_CLUSTER(a_poisoned_step_is_not_offered_until_it_is_cleared),
        OF_CLUSTER(healthy_is_shown_and_changes_nothing),
        OF_CLUSTER(what_is_open_cannot_be_marked),
        OF_CLUSTER(a_run_that_has_gone_back_is_not_moved_forward),
        OF_CLUSTER(the_machines_own_quarantine_ends_when_a_copy_turns_up),
        OF_CLUSTER(after_a_verdict_it_only_stays_readable),
        OF_CLUSTER(marks_come_back_from_the_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
