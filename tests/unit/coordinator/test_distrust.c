/* SPDX-License-Identifier: Apache-2.0 */
/* Cases that the simulator found, each by hand. */
#include <stdlib.h>
#include <string.h>

#include "unit/coordinator/cluster.h"

CLUSTER_OF(3)

/* However often something is heard, the round that looks at leases and time-outs stays due. */
static void messages_do_not_put_off_the_next_round(void **state)
{
    (void)state;
    uint64_t due_ms = cluster.update.deadline_ms;
    assert_true(due_ms > cluster.now_ms);
    struct message heartbeat = {.type = MESSAGE_HEARTBEAT};
    for (uint32_t i = 0; i < 3; i++) {
        cluster.now_ms++;
        cluster_message(&cluster, 0, &heartbeat);
        assert_int_equal(cluster.update.deadline_ms, due_ms);
    }
}

/* A holder's digest that nobody asked for may be of a copy that was refused and freed meanwhile. */
static void a_copy_out_of_the_blue_must_answer_an_order(void **state)
{
    (void)state;
    struct message m = cluster_report(1, 10, 0, 1, COPY_SEALED, true, 7);
    cluster_message(&cluster, 0, &m);
    const struct message *pull = cluster_find(&cluster, 1, MESSAGE_PULL_ORDER);
    uint32_t other = pull != NULL ? 2 : 1;
    m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 7);
    cluster_message(&cluster, 0, &m);
    m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, false, 7);
    cluster_message(&cluster, other, &m);
    assert_int_equal(cluster_records(&cluster, RECORD_CONSISTENT), 0);
    const struct message *order = cluster_find(&cluster, other, MESSAGE_VERIFY_ORDER);
    assert_non_null(order);
    m.shard_report.order = order->verify_order.order;
    cluster_message(&cluster, other, &m);
    assert_int_equal(cluster_records(&cluster, RECORD_CONSISTENT), 1);
}

/* Its first digest was another, and never heard: it is about to be given up. */
static void a_copy_with_two_digests_never_counts(void **state)
{
    (void)state;
    struct message m = cluster_report(1, 10, 0, 1, COPY_SEALED, true, 7);
    cluster_message(&cluster, 0, &m);
    uint32_t holder = cluster_find(&cluster, 1, MESSAGE_PULL_ORDER) != NULL ? 1 : 2;
    const struct message *pull = cluster_find(&cluster, holder, MESSAGE_PULL_ORDER);
    assert_non_null(pull);
    uint64_t order = pull->pull_order.order;
    m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 7);
    cluster_message(&cluster, 0, &m);
    m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, false, 7);
    m.shard_report.order = order;
    m.shard_report.changed = true;
    cluster_message(&cluster, holder, &m);
    assert_int_equal(cluster_records(&cluster, RECORD_CONSISTENT), 0);
    assert_false(cluster_find(&cluster, holder, MESSAGE_SHARD_ACK)->shard_ack.keep);
}

/* What a restore reads differs: the source may have gone bad since its own digest. */
static void a_source_that_gave_other_bytes_digests_again(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
    uint32_t reader = 0;
    for (uint32_t node = 1; node < 3; node++) {
        struct coordinator_shard_view view;
        assert_true(coordinator_shard_view(cluster.c, 0, 0, &view));
        bool holds = false;
        for (uint32_t i = 0; i < view.copy_count; i++) {
            holds = holds || view.copies[i].node[1] == (char)('0' + node);
        }
        reader = holds ? reader : node;
    }
    struct message ask = {.type = MESSAGE_LOAD_ASK};
    ask.load_ask.run.uid = 1000;
    strcpy(ask.load_ask.run.name, "run");
    ask.load_ask.attempt = 2;
    ask.load_ask.start = cluster_start_name(2);
    ask.load_ask.seat = cluster_seat_name(2, 0);
    ask.load_ask.world = 1;
    ask.load_ask.step = CKPT_STEP_LATEST;
    ask.load_ask.collective = true;
    ask.load_ask.load = 1;
    cluster_message(&cluster, reader, &ask);
    const struct message *pull = cluster_find(&cluster, reader, MESSAGE_PULL_ORDER);
    assert_non_null(pull);
    uint32_t source = (uint32_t)(pull->pull_order.source_node[1] - '0');
    struct message m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, false, 99);
    m.shard_report.order = pull->pull_order.order;
    cluster_message(&cluster, reader, &m);
    assert_false(cluster_find(&cluster, reader, MESSAGE_SHARD_ACK)->shard_ack.keep);
    assert_non_null(cluster_find(&cluster, source, MESSAGE_VERIFY_ORDER));
}

static void retire_newer(uint64_t step)
{
    struct message_admin_ask ask = {.verb = ADMIN_RETIRE, .step = step, .newer = true};
    struct message report = cluster_report(1, step, 0, 2, COPY_VERIFIED, true, 0);
    ask.run = report.shard_report.shard.run;
    struct coordinator_event event = {
        .type = COORDINATOR_ADMIN, .now_ms = cluster.now_ms, .admin = &ask};
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_OK);
    assert_int_equal(cluster.update.admin_status, CKPT_OK);
}

/* Reports of what was retired by command were on their way: they do not bring it back. */
static void what_is_retired_by_command_stays_retired(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    cluster_save(&cluster, 1, 20, 2);
    retire_newer(10);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 1);
    assert_int_equal(cluster_records(&cluster, RECORD_WITHDRAWN), 1);
    struct message late = cluster_report(1, 20, 0, 2, COPY_VERIFIED, true, 20);
    cluster_message(&cluster, 0, &late);
    const struct message *ack = cluster_find(&cluster, 0, MESSAGE_SHARD_ACK);
    assert_false(ack->shard_ack.keep);
    assert_int_equal(ack->shard_ack.status, CKPT_ERR_RETIRED);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_NONE);
    retire_newer(10); /* nothing is newer */
    assert_int_equal(cluster.update.record_count, 0);
    cluster_save(&cluster, 1, 30, 2);
    assert_int_equal(cluster_checkpoint(&cluster, 30).state, CHECKPOINT_CONSISTENT);
    retire_newer(10);
    cluster_save(&cluster, 2, 20, 2); /* a later attempt comes to that step again */
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
}

static void replay(struct coordinator *c, enum coordinator_record_type type, uint32_t attempt)
{
    struct coordinator_record_shard shard = {.bytes = 4096};
    memset(&shard.digest, (int)attempt, sizeof shard.digest);
    struct coordinator_record record = {.type = type,
                                        .epoch = 4,
                                        .attempt = attempt,
                                        .step = 10,
                                        .world = 1,
                                        .copies = 2,
                                        .bytes = 4096,
                                        .shards = type == RECORD_CONSISTENT ? &shard : NULL};
    record.run.uid = 1000;
    strcpy(record.run.name, "run");
    struct coordinator_event event = {
        .type = COORDINATOR_REPLAY, .now_ms = 1000, .record = &record};
    assert_int_equal(coordinator_advance(c, &event, &cluster.update), CKPT_OK);
}

/* A later attempt saves the step again that an earlier one had quarantined; then the coordinator
 * starts anew. */
static void a_step_saved_again_after_its_quarantine_is_replayed(void **state)
{
    (void)state;
    struct coordinator_config config;
    char reason[CKPT_REASON_MAX + 1];
    struct coordinator *c;
    coordinator_config_default(&config);
    config.agents_max = 4;
    config.checkpoints_max = 8;
    config.shards_max = 16;
    size_t bytes = (coordinator_memory_bytes(&config, reason) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, bytes);
    assert_non_null(memory);
    memset(memory, 0, bytes);
    assert_int_equal(coordinator_init(memory, bytes, &config, 5, 1, &c), CKPT_OK);
    replay(c, RECORD_CONSISTENT, 1);
    replay(c, RECORD_QUARANTINED, 1);
    replay(c, RECORD_CONSISTENT, 2);
    struct coordinator_run_view run;
    assert_true(coordinator_run_view(c, 0, &run));
    assert_true(run.has_latest);
    assert_int_equal(run.latest_step, 10);
    assert_int_equal(run.checkpoints, 2);
    free(memory);
}

static void a_withdrawal_is_replayed(void **state)
{
    (void)state;
    struct coordinator_record record = {
        .type = RECORD_WITHDRAWN, .epoch = 4, .attempt = 1, .step = 20};
    struct message report = cluster_report(1, 20, 0, 2, COPY_VERIFIED, true, 20);
    record.run = report.shard_report.shard.run;
    cluster_stop(&cluster);
    cluster_start_with(&cluster, 2, &record, 1);
    cluster_join(&cluster, 0, 1);
    cluster_message(&cluster, 0, &report);
    assert_int_equal(cluster_find(&cluster, 0, MESSAGE_SHARD_ACK)->shard_ack.status,
                     CKPT_ERR_RETIRED);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_NONE);
}

/* More copies turn up than the table holds: the only one of its domain is none too many. */
static void a_copy_in_a_new_domain_takes_the_place_of_a_twin(void **state)
{
    (void)state;
    struct coordinator_record_shard shard = {.bytes = 4096};
    memset(&shard.digest, 20, sizeof shard.digest);
    struct message report = cluster_report(1, 20, 0, 1, COPY_VERIFIED, false, 20);
    struct coordinator_record record = {.type = RECORD_CONSISTENT,
                                        .epoch = 4,
                                        .run = report.shard_report.shard.run,
                                        .attempt = 1,
                                        .step = 20,
                                        .world = 1,
                                        .copies = 2,
                                        .bytes = 4096,
                                        .shards = &shard};
    cluster_stop(&cluster);
    cluster_start_with(&cluster, 2, &record, 1);
    for (uint32_t node = 0; node < COORDINATOR_COPIES_MAX; node++) {
        cluster_join_domain(&cluster, node, (uint8_t)(node + 1), 0);
        cluster_message(&cluster, node, &report);
        assert_true(cluster_find(&cluster, node, MESSAGE_SHARD_ACK)->shard_ack.keep);
    }
    uint32_t last = COORDINATOR_COPIES_MAX;
    cluster_join_domain(&cluster, last, (uint8_t)(last + 1), 1);
    cluster_message(&cluster, last, &report);
    assert_true(cluster_find(&cluster, last, MESSAGE_SHARD_ACK)->shard_ack.keep);
    struct coordinator_shard_view view;
    uint32_t verified = 0;
    assert_true(coordinator_shard_view(cluster.c, 0, 0, &view));
    for (uint32_t i = 0; i < view.copy_count; i++) {
        verified += view.copies[i].state == COPY_VERIFIED && !view.copies[i].leaving;
        assert_false(strcmp(view.copies[i].node, "n6") == 0 && view.copies[i].leaving);
    }
    assert_int_equal(verified, 2); /* it, and one of the other domain */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(messages_do_not_put_off_the_next_round, cluster),
        MACHINE_TEST(a_copy_out_of_the_blue_must_answer_an_order, cluster),
        MACHINE_TEST(a_copy_with_two_digests_never_counts, cluster),
        MACHINE_TEST(a_source_that_gave_other_bytes_digests_again, cluster),
        MACHINE_TEST(what_is_retired_by_command_stays_retired, cluster),
        MACHINE_TEST(a_copy_in_a_new_domain_takes_the_place_of_a_twin, cluster),
        MACHINE_TEST(a_withdrawal_is_replayed, cluster),
        MACHINE_TEST(a_step_saved_again_after_its_quarantine_is_replayed, cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
