/* SPDX-License-Identifier: Apache-2.0 */
/* The commit rule and everything that must stop it. */
#include "unit/coordinator/cluster.h"

#include <stdio.h>
#include <string.h>

CLUSTER_OF(4)

static void commits_when_every_rank_has_two_equal_copies(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 3);
    assert_int_equal(cluster_records(&cluster, RECORD_CONSISTENT), 1);
    assert_non_null(cluster_find(&cluster, 0, MESSAGE_CHECKPOINT_STATE));
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
    struct coordinator_record_shard shard =
        coordinator_record_shard(cluster.c, &cluster.update.records[0], 2);
    assert_int_equal(shard.bytes, 4096);
    assert_int_equal(shard.digest.bytes[0], 12);
}

static void the_owner_alone_is_not_enough(void **state)
{
    (void)state;
    struct message m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 7);
    cluster_message(&cluster, 0, &m);
    assert_int_equal(cluster.update.record_count, 1); /* the attempt */
    assert_int_equal(cluster_count(&cluster, MESSAGE_PULL_ORDER), 1);
    cluster_message(&cluster, 0, &m); /* repeated: one more ack, no second order */
    assert_int_equal(cluster_count(&cluster, MESSAGE_PULL_ORDER), 0);
    assert_int_equal(cluster_count(&cluster, MESSAGE_SHARD_ACK), 1);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_VERIFYING);
}

static void a_holder_with_another_digest_is_refused_and_replaced(void **state)
{
    (void)state;
    struct message m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 7);
    cluster_message(&cluster, 0, &m);
    m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, false, 8);
    cluster_message(&cluster, 1, &m);
    const struct message *ack = cluster_find(&cluster, 1, MESSAGE_SHARD_ACK);
    assert_non_null(ack);
    assert_false(ack->shard_ack.keep);
    assert_int_equal(ack->shard_ack.status, CKPT_ERR_DIGEST);
    assert_non_null(cluster_find(&cluster, 0, MESSAGE_VERIFY_ORDER));
    const struct message *order = cluster_find(&cluster, 2, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    uint64_t number = order->pull_order.order;
    m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, false, 7);
    m.shard_report.order = number;
    cluster_message(&cluster, 2, &m);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
}

static void an_owner_that_changes_its_digest_aborts(void **state)
{
    (void)state;
    struct message m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 7);
    cluster_message(&cluster, 0, &m);
    m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 8);
    cluster_message(&cluster, 0, &m);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_ABORTED);
    const struct message *told = cluster_find(&cluster, 0, MESSAGE_CHECKPOINT_STATE);
    assert_non_null(told);
    assert_int_equal(told->checkpoint_state.status, CKPT_ERR_DIGEST);
}

static void contradictions_are_refused_and_touch_nothing(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    struct {
        struct message m;
        enum ckpt_status status;
    } cases[] = {
        {cluster_report(1, 9, 0, 2, COPY_SEALED, true, 1), CKPT_ERR_STEP},
        {cluster_report(0, 11, 0, 2, COPY_SEALED, true, 1), CKPT_ERR_ATTEMPT},
        {cluster_report(1, 11, 0, 3, COPY_SEALED, true, 1), CKPT_ERR_WORLD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cluster_message(&cluster, 0, &cases[i].m);
        const struct message *ack = cluster_find(&cluster, 0, MESSAGE_SHARD_ACK);
        assert_non_null(ack);
        assert_false(ack->shard_ack.keep);
        assert_int_equal(ack->shard_ack.status, cases[i].status);
        assert_true(strlen(ack->shard_ack.reason) > 0);
    }
    struct message first = cluster_report(1, 11, 0, 2, COPY_SEALED, true, 1);
    cluster_message(&cluster, 0, &first);
    struct message twin = cluster_report(1, 11, 0, 2, COPY_SEALED, true, 1);
    cluster_message(&cluster, 3, &twin);
    assert_int_equal(cluster_find(&cluster, 3, MESSAGE_SHARD_ACK)->shard_ack.status, CKPT_ERR_RANK);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
}

static void retention_keeps_two_and_retires_in_the_same_transaction(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    cluster_save(&cluster, 1, 20, 2);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 0);
    cluster_save(&cluster, 1, 30, 2);
    assert_int_equal(cluster_records(&cluster, RECORD_CONSISTENT), 1);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 1);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_NONE);
}

static void a_loss_raises_the_epoch_and_repairs(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1); /* node 0 owns, node 1 holds */
    uint64_t epoch = coordinator_epoch(cluster.c);
    cluster_disconnect(&cluster, 1);
    cluster_tick(&cluster, 1100);
    assert_int_equal(coordinator_epoch(cluster.c), epoch + 1);
    assert_int_equal(cluster_records(&cluster, RECORD_EPOCH), 1);
    assert_true(cluster_checkpoint(&cluster, 10).degraded);
    const struct message *order = cluster_find(&cluster, 2, MESSAGE_PULL_ORDER);
    for (uint32_t i = 0; i < 20 && order == NULL; i++) { /* absence has lasted: repair_after */
        assert_true(i < 20);
        cluster_alive(&cluster, 4, 1u << 1);
        cluster_tick(&cluster, 500);
        order = cluster_find(&cluster, 2, MESSAGE_PULL_ORDER);
        assert_true(order == NULL || i >= 18);
    }
    assert_non_null(order);
    assert_string_equal(order->pull_order.source_node, "n0");
    struct message m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, false, 10);
    m.shard_report.order = order->pull_order.order;
    cluster_message(&cluster, 2, &m);
    assert_false(cluster_checkpoint(&cluster, 10).degraded);
}

static void without_progress_it_is_aborted_and_says_who_is_missing(void **state)
{
    (void)state;
    struct message m = cluster_report(1, 10, 0, 2, COPY_VERIFIED, true, 7);
    cluster_message(&cluster, 0, &m);
    struct message alive = {.type = MESSAGE_HEARTBEAT};
    alive.heartbeat.segments_free = 16;
    for (uint32_t i = 0; i < 130; i++) {
        for (uint32_t node = 0; node < 4; node++) {
            cluster_message(&cluster, node, &alive);
        }
        cluster_tick(&cluster, 1000);
    }
    struct coordinator_checkpoint_view k = cluster_checkpoint(&cluster, 10);
    assert_int_equal(k.state, CHECKPOINT_ABORTED);
    assert_non_null(strstr(k.reason, "1 of 2 ranks sealed"));
}

static void beat(uint32_t node, uint32_t segments_free)
{
    struct message m = {.type = MESSAGE_HEARTBEAT, .heartbeat.segments_free = segments_free};
    cluster_message(&cluster, node, &m);
}

static void room_that_comes_back_is_used_at_once(void **state)
{
    (void)state;
    for (uint32_t node = 0; node < 4; node++) {
        beat(node, 0);
    }
    struct message m = cluster_report(1, 10, 0, 1, COPY_SEALED, true, 7);
    cluster_message(&cluster, 0, &m);
    assert_int_equal(cluster_count(&cluster, MESSAGE_PULL_ORDER), 0);
    beat(2, 0);
    assert_int_equal(cluster_count(&cluster, MESSAGE_PULL_ORDER), 0);
    beat(2, 1);
    assert_non_null(cluster_find(&cluster, 2, MESSAGE_PULL_ORDER));
}

static void a_heartbeat_repeats_only_what_has_no_answer(void **state)
{
    (void)state;
    struct message m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 7);
    cluster_message(&cluster, 0, &m);
    const struct message *order = cluster_find(&cluster, 1, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    uint64_t number = order->pull_order.order;
    beat(1, 8);
    assert_int_equal(cluster_count(&cluster, MESSAGE_PULL_ORDER), 0); /* it is not late yet */
    cluster.now_ms += 600;
    beat(1, 8);
    assert_int_equal(cluster_count(&cluster, MESSAGE_PULL_ORDER), 1);
    m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, false, 7);
    m.shard_report.order = number;
    cluster_message(&cluster, 1, &m);
    cluster.now_ms += 600;
    beat(1, 8);
    assert_int_equal(cluster_count(&cluster, MESSAGE_PULL_ORDER), 0);
}

static void nodes_and_domains_are_told_apart_by_their_whole_names(void **state)
{
    (void)state;
    struct coordinator_member_view view;
    for (uint32_t node = 4; node < 8; node++) {
        cluster_join(&cluster, node, (uint8_t)(node + 1));
    }
    assert_int_equal(coordinator_member_count(cluster.c), 8);
    for (uint32_t node = 0; node < 8; node++) {
        char name[8];
        cluster_join(&cluster, node, (uint8_t)(node + 1)); /* again: nobody new */
        snprintf(name, sizeof(name), "n%u", node);
        assert_true(coordinator_member_view(cluster.c, node, &view));
        assert_string_equal(view.node, name);
        name[0] = 'd';
        assert_string_equal(view.domain, name);
    }
    assert_int_equal(coordinator_member_count(cluster.c), 8);
}

static void a_higher_epoch_makes_it_step_down(void **state)
{
    (void)state;
    struct message m = {.type = MESSAGE_STALE_EPOCH, .epoch = 99};
    cluster_message(&cluster, 0, &m);
    assert_true(cluster.update.step_down);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(commits_when_every_rank_has_two_equal_copies, cluster),
        MACHINE_TEST(the_owner_alone_is_not_enough, cluster),
        MACHINE_TEST(a_holder_with_another_digest_is_refused_and_replaced, cluster),
        MACHINE_TEST(an_owner_that_changes_its_digest_aborts, cluster),
        MACHINE_TEST(contradictions_are_refused_and_touch_nothing, cluster),
        MACHINE_TEST(retention_keeps_two_and_retires_in_the_same_transaction, cluster),
        MACHINE_TEST(a_loss_raises_the_epoch_and_repairs, cluster),
        MACHINE_TEST(without_progress_it_is_aborted_and_says_who_is_missing, cluster),
        MACHINE_TEST(room_that_comes_back_is_used_at_once, cluster),
        MACHINE_TEST(a_heartbeat_repeats_only_what_has_no_answer, cluster),
        MACHINE_TEST(nodes_and_domains_are_told_apart_by_their_whole_names, cluster),
        MACHINE_TEST(a_higher_epoch_makes_it_step_down, cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
