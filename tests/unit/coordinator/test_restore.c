/* SPDX-License-Identifier: Apache-2.0 */
/* One verdict for all ranks; fetches beside it; records back after a restart. */
#include "unit/coordinator/story.h"

#include <string.h>

CLUSTER_OF(4)

static struct message ask(uint32_t attempt, uint32_t load, uint32_t rank, uint32_t world)
{
    struct message m = {.type = MESSAGE_LOAD_ASK};
    m.load_ask.run.uid = 1000;
    strcpy(m.load_ask.run.name, "run");
    m.load_ask.attempt = attempt;
    m.load_ask.start = cluster_start_name(attempt);
    m.load_ask.seat = cluster_seat_name(attempt, rank);
    m.load_ask.asking_rank = m.load_ask.rank = rank;
    m.load_ask.world = world;
    m.load_ask.step = CKPT_STEP_LATEST;
    m.load_ask.collective = true;
    m.load_ask.load = load;
    return m;
}

static void verified(uint32_t node, uint64_t step, uint32_t rank, uint32_t world, bool owner,
                     uint64_t order)
{
    struct message m =
        cluster_report(1, step, rank, world, COPY_VERIFIED, owner, (uint8_t)(step + rank));
    m.shard_report.order = order;
    cluster_message(&cluster, node, &m);
}

static void the_verdict_waits_for_the_last_rank(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2); /* rank 0: n0, n1; rank 1: n1, n2 */
    cluster_seat(&cluster, 2, 2);
    struct message m = ask(2, 1, 0, 2);
    cluster_message(&cluster, 0, &m); /* on its old node: digested again */
    const struct message *order = cluster_find(&cluster, 0, MESSAGE_VERIFY_ORDER);
    assert_non_null(order);
    verified(0, 10, 0, 2, true, order->verify_order.order);
    assert_null(cluster_find(&cluster, 0, MESSAGE_LOAD_VERDICT));

    m = ask(2, 1, 1, 2);
    cluster_message(&cluster, 3, &m); /* on a new node: pulled */
    order = cluster_find(&cluster, 3, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    assert_int_equal(order->pull_order.purpose, PULL_RESTORE);
    verified(3, 10, 1, 2, false, order->pull_order.order);
    cluster_tick(&cluster, 1);
    const struct message *first = cluster_find(&cluster, 0, MESSAGE_LOAD_VERDICT);
    const struct message *second = cluster_find(&cluster, 3, MESSAGE_LOAD_VERDICT);
    assert_non_null(first);
    assert_non_null(second);
    assert_int_equal(first->load_verdict.status, CKPT_OK);
    assert_int_equal(second->load_verdict.shard.step, 10);
    assert_int_equal(second->load_verdict.shard.rank, 1);

    m = ask(2, 1, 1, 2); /* the verdict was lost: the same one again */
    cluster_message(&cluster, 3, &m);
    assert_non_null(cluster_find(&cluster, 3, MESSAGE_LOAD_VERDICT));
}

/* Rank 0 is back on its node, rank 1 on another: one copy is digested again, one is made, which is
 * one too many then. A verdict that was lost is said again. */
static void a_restore_is_one_verdict_on_record(void **state)
{
    cluster_save(*state, 1, 10, 2); /* rank 0: n0, n1; rank 1: n1, n2 */
    cluster_seat(*state, 2, 2);
    cluster_story(*state,
                  "> n0: asks load 1 of attempt 2 rank 0 of 2\n"
                  "< n0: verify_order 1000:run/1 step 10 rank 0 order 4 gen 10\n"
                  "> n0: verified step 10 rank 0 of 2 order 4\n"
                  "< n0: shard_ack 1000:run/1 step 10 rank 0 gen 10 VERIFIED keep 1 status 0\n"
                  "> n3: asks load 1 of attempt 2 rank 1 of 2\n"
                  "< n3: pull_order 1000:run/1 step 10 rank 1 order 5 purpose 1 from n1 gen 10\n"
                  "> n3: verified step 10 rank 1 of 2 order 5\n"
                  "< record VERDICT attempt 2 step 10\n"
                  "< record HOLDERS attempt 1 step 10\n"
                  "< n3: shard_ack 1000:run/1 step 10 rank 1 gen 10 VERIFIED keep 1 status 0\n"
                  "< n2: let_go\n"
                  "> after 1 ms\n"
                  "< n0: load_verdict 1000:run/1 step 10 rank 0 to 0 load 1 status 0 collective\n"
                  "< n3: load_verdict 1000:run/1 step 10 rank 1 to 1 load 1 status 0 collective\n"
                  "> n3: asks load 1 of attempt 2 rank 1 of 2\n"
                  "< n3: load_verdict 1000:run/1 step 10 rank 1 to 1 load 1 status 0 collective\n");
}

/* Between the decision and the first word of it. */
static void a_copy_that_goes_before_anyone_is_told_holds_all_back(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2); /* rank 0: n0, n1; rank 1: n1, n2 */
    cluster_seat(&cluster, 2, 2);
    for (uint32_t rank = 0; rank < 2; rank++) {
        struct message m = ask(2, 1, rank, 2);
        cluster_message(&cluster, rank, &m);
        const struct message *order = cluster_find(&cluster, rank, MESSAGE_VERIFY_ORDER);
        assert_non_null(order);
        verified(rank, 10, rank, 2, true, order->verify_order.order);
    }
    struct message bad = cluster_report(1, 10, 1, 2, COPY_VERIFIED, true, 99);
    cluster_message(&cluster, 1, &bad);
    cluster_tick(&cluster, 1);
    assert_int_equal(cluster_count(&cluster, MESSAGE_LOAD_VERDICT), 0);
    struct message m = ask(2, 1, 1, 2);
    cluster_message(&cluster, 1, &m);
    const struct message *order = cluster_find(&cluster, 1, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    struct message good = cluster_report(1, 10, 1, 2, COPY_VERIFIED, false, 11);
    good.shard_report.order = order->pull_order.order;
    good.shard_report.generation++;
    cluster_message(&cluster, 1, &good);
    cluster_tick(&cluster, 1);
    assert_int_equal(cluster_count(&cluster, MESSAGE_LOAD_VERDICT), 2);
}

static void a_run_without_checkpoint_and_another_world_are_told(void **state)
{
    (void)state;
    cluster_seat(&cluster, 1, 2);
    struct message m = ask(1, 1, 0, 2);
    cluster_message(&cluster, 0, &m);
    assert_int_equal(cluster_find(&cluster, 0, MESSAGE_LOAD_VERDICT)->load_verdict.status,
                     CKPT_ERR_NO_CHECKPOINT);
    cluster_save(&cluster, 1, 10, 2);
    cluster_seat(&cluster, 2, 3);
    m = ask(2, 1, 0, 3);
    cluster_message(&cluster, 0, &m);
    assert_int_equal(cluster_find(&cluster, 0, MESSAGE_LOAD_VERDICT)->load_verdict.status,
                     CKPT_ERR_WORLD);
    m = ask(1, 2, 0, 2); /* the attempt before */
    cluster_message(&cluster, 0, &m);
    assert_int_equal(cluster_find(&cluster, 0, MESSAGE_LOAD_VERDICT)->load_verdict.status,
                     CKPT_ERR_ATTEMPT);
}

static void lose(uint32_t node)
{
    cluster_disconnect(&cluster, node);
    struct message alive = {.type = MESSAGE_HEARTBEAT};
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t other = 0; other < 4; other++) {
            if (other != node) {
                cluster_message(&cluster, other, &alive);
            }
        }
        cluster_tick(&cluster, 600);
    }
}

static void a_lost_shard_quarantines_and_falls_to_the_older(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1);
    cluster_save(&cluster, 1, 20, 1); /* both on n0 and n1 */
    struct message gone = cluster_report(1, 20, 0, 1, COPY_NONE, false, 0);
    cluster_message(&cluster, 1, &gone);
    gone.shard_report.owner = true;
    cluster_message(&cluster, 0, &gone);

    struct message m = ask(2, 1, 0, 1);
    struct message alive = {.type = MESSAGE_HEARTBEAT};
    alive.heartbeat.inventory_told = true;
    const struct message *order = NULL;
    bool quarantined = false;
    for (uint32_t i = 0; i < 60 && order == NULL; i++) {
        for (uint32_t node = 0; node < 4; node++) {
            cluster_message(&cluster, node, &alive);
        }
        cluster_tick(&cluster, 600);
        cluster_message(&cluster, 0, &m);
        quarantined = quarantined || cluster_records(&cluster, RECORD_QUARANTINED) == 1;
        order = cluster_find(&cluster, 0, MESSAGE_VERIFY_ORDER);
    }
    assert_true(quarantined);
    assert_non_null(order);
    assert_int_equal(order->verify_order.shard.step, 10);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_QUARANTINED);
}

/* Repeats the ask until there is a verdict for node. */
static const struct message *ask_until_verdict(const struct message *m, uint32_t node,
                                               uint32_t away)
{
    const struct message *verdict = NULL;
    for (uint32_t i = 0; i < 602 && verdict == NULL; i++) {
        cluster_alive(&cluster, 4, away);
        cluster_tick(&cluster, 500);
        cluster_message(&cluster, node, m);
        verdict = cluster_find(&cluster, node, MESSAGE_LOAD_VERDICT);
    }
    return verdict;
}

static void copies_on_nodes_that_are_away_are_not_given_up(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1); /* n0 and n1, and no older checkpoint */
    cluster_disconnect(&cluster, 0);
    cluster_disconnect(&cluster, 1);
    struct message m = ask(2, 1, 0, 1);
    cluster_message(&cluster, 3, &m);
    const struct message *waits = NULL;
    for (uint32_t i = 0; i < 12 && waits == NULL; i++) {
        cluster_pass(&cluster, 500, 4, 1u << 0 | 1u << 1);
        cluster_message(&cluster, 3, &m);
        waits = cluster_find(&cluster, 3, MESSAGE_LOAD_WAITS);
    }
    assert_non_null(waits); /* long before it ends it says for whom it waits */
    assert_non_null(strstr(waits->load_waits.reason, "n0, n1"));
    uint64_t began_ms = cluster.now_ms;
    const struct message *verdict = ask_until_verdict(&m, 3, 1u << 0 | 1u << 1);
    assert_non_null(verdict);
    assert_true(cluster.now_ms > began_ms + 280000); /* as long as its time allows */
    assert_non_null(strstr(verdict->load_verdict.reason, "n0, n1"));
    assert_int_equal(verdict->load_verdict.status, CKPT_ERR_LOST);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
}

static void a_source_whose_bytes_differ_has_to_digest_them(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1); /* n0, n1 */
    struct message m = ask(2, 1, 0, 1);
    cluster_message(&cluster, 3, &m);
    const struct message *order = cluster_find(&cluster, 3, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    uint32_t source = strcmp(order->pull_order.source_node, "n0") == 0 ? 0 : 1;
    struct message rotten = cluster_report(1, 10, 0, 1, COPY_VERIFIED, false, 66);
    rotten.shard_report.order = order->pull_order.order;
    cluster_message(&cluster, 3, &rotten);
    assert_int_equal(cluster_find(&cluster, 3, MESSAGE_SHARD_ACK)->shard_ack.status,
                     CKPT_ERR_DIGEST);
    assert_non_null(cluster_find(&cluster, source, MESSAGE_VERIFY_ORDER));
    assert_null(cluster_find(&cluster, 3, MESSAGE_PULL_ORDER)); /* not at once again */
    cluster_message(&cluster, 3, &m);
    order = cluster_find(&cluster, 3, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    assert_string_equal(order->pull_order.source_node, source == 0 ? "n1" : "n0");
}

static void a_pull_that_fails_goes_to_the_next_source(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1); /* n0, n1 */
    struct message m = ask(2, 1, 0, 1);
    cluster_message(&cluster, 3, &m);
    const struct message *order = cluster_find(&cluster, 3, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    char source[CKPT_NODE_NAME_MAX + 1];
    strcpy(source, order->pull_order.source_node);
    struct message failed = {.type = MESSAGE_PULL_FAILED};
    failed.pull_failed.order = order->pull_order.order;
    failed.pull_failed.shard = order->pull_order.shard;
    failed.pull_failed.status = CKPT_ERR_LINK;
    cluster_message(&cluster, 3, &failed);
    cluster_message(&cluster, 3, &m); /* the ask is repeated */
    order = cluster_find(&cluster, 3, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    assert_string_not_equal(order->pull_order.source_node, source);
}

static void a_fetch_waits_for_nobody_and_never_counts(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    struct message m = ask(1, 1, 0, 2);
    m.load_ask.collective = false;
    m.load_ask.world = 0; /* a reader's */
    m.load_ask.rank = 1;
    m.load_ask.reader = 42;
    cluster_message(&cluster, 3, &m);
    const struct message *order = cluster_find(&cluster, 3, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    assert_int_equal(order->pull_order.purpose, PULL_FETCH);
    struct message done = cluster_report(1, 10, 1, 2, COPY_VERIFIED, false, 11);
    done.shard_report.order = order->pull_order.order;
    done.shard_report.cached = true;
    cluster_message(&cluster, 3, &done);
    const struct message *verdict = cluster_find(&cluster, 3, MESSAGE_LOAD_VERDICT);
    assert_non_null(verdict);
    assert_int_equal(verdict->load_verdict.status, CKPT_OK);
    assert_int_equal(verdict->load_verdict.reader, 42);
    cluster_message(&cluster, 3, &m); /* the answer was lost: the same again, nothing is digested */
    assert_non_null(cluster_find(&cluster, 3, MESSAGE_LOAD_VERDICT));
    assert_int_equal(cluster_count(&cluster, MESSAGE_VERIFY_ORDER), 0);
    m.load_ask.reader = 43; /* another reader's is digested since its ask */
    cluster_message(&cluster, 3, &m);
    assert_null(cluster_find(&cluster, 3, MESSAGE_LOAD_VERDICT));
    assert_non_null(cluster_find(&cluster, 3, MESSAGE_VERIFY_ORDER));
    lose(2); /* rank 1 was on n1 and n2: the cached copy on n3 does not save it from repair */
    assert_true(cluster_checkpoint(&cluster, 10).degraded);
}

/* One member takes its share of the table and no more, and who was told makes room. */
static void a_flood_of_fetches_leaves_room(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    struct message m = ask(1, 1, 0, 2);
    m.load_ask.collective = false;
    m.load_ask.rank = 1;
    for (uint64_t reader = 1; reader <= 2000; reader++) {
        m.load_ask.reader = reader;
        cluster_message(&cluster, 3, &m);
    }
    m.load_ask.reader = 7;
    m.load_ask.rank = 0;
    cluster_message(&cluster, 3, &m);
    assert_null(cluster_find(&cluster, 3, MESSAGE_PULL_ORDER)); /* its share is taken */
    cluster_message(&cluster, 2, &m);
    const struct message *order = cluster_find(&cluster, 2, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    struct message done = cluster_report(1, 10, 0, 2, COPY_VERIFIED, false, 10);
    done.shard_report.order = order->pull_order.order;
    done.shard_report.cached = true;
    cluster_message(&cluster, 2, &done);
    assert_non_null(cluster_find(&cluster, 2, MESSAGE_LOAD_VERDICT));
    for (int i = 0; i < 10; i++) { /* it asks for none any more: its share is free again */
        for (uint32_t node = 0; node < 4; node++) {
            struct message beat = {.type = MESSAGE_HEARTBEAT, .heartbeat.segments_free = 8};
            cluster_message(&cluster, node, &beat);
        }
        cluster_tick(&cluster, 1000);
    }
    m.load_ask.rank = 0;
    cluster_message(&cluster, 3, &m);
    assert_non_null(cluster_find(&cluster, 3, MESSAGE_PULL_ORDER));
}

static void records_come_back_and_copies_are_judged_by_them(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    cluster_start(&cluster, 2);
    struct coordinator_record_shard shard = {.bytes = 4096};
    memset(&shard.digest, 10, sizeof shard.digest);
    struct coordinator_record record = {.type = RECORD_CONSISTENT,
                                        .epoch = 4,
                                        .attempt = 1,
                                        .step = 10,
                                        .world = 1,
                                        .copies = 2,
                                        .bytes = 4096,
                                        .shards = &shard};
    record.run.uid = 1000;
    strcpy(record.run.name, "run");
    struct coordinator_event event = {
        .type = COORDINATOR_REPLAY, .now_ms = cluster.now_ms, .record = &record};
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_ERR_INVALID);

    cluster_stop(&cluster);
    struct coordinator_config config;
    coordinator_config_default(&config);
    char reason[CKPT_REASON_MAX + 1];
    static _Alignas(64) char memory[96 << 20];
    config.agents_max = 8;
    assert_true(coordinator_memory_bytes(&config, reason) <= sizeof memory);
    assert_int_equal(coordinator_init(memory, sizeof memory, &config, 6, 1, &cluster.c), CKPT_OK);
    cluster.memory = NULL;
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_OK);
    event.type = COORDINATOR_REPLAY_END;
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_OK);
    cluster_join(&cluster, 0, 1);
    cluster_join(&cluster, 1, 2);
    assert_true(cluster_checkpoint(&cluster, 10).degraded);
    struct message wrong = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 11);
    cluster_message(&cluster, 0, &wrong);
    assert_int_equal(cluster_find(&cluster, 0, MESSAGE_SHARD_ACK)->shard_ack.status,
                     CKPT_ERR_DIGEST);
    struct message right = cluster_report(1, 10, 0, 1, COPY_VERIFIED, false, 10);
    cluster_message(&cluster, 1, &right);
    assert_true(cluster_find(&cluster, 1, MESSAGE_SHARD_ACK)->shard_ack.keep);
    struct message again = {.type = MESSAGE_HEARTBEAT};
    again.heartbeat.segments_free = 16;
    cluster_message(&cluster, 0, &again);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
}

/* It had told some ranks; meanwhile a newer checkpoint became consistent, and it died. */
static void a_verdict_outlives_its_coordinator(void **state)
{
    (void)state;
    struct coordinator_record_shard shards[2] = {{.bytes = 4096}, {.bytes = 4096}};
    memset(&shards[0].digest, 10, sizeof shards[0].digest);
    memset(&shards[1].digest, 20, sizeof shards[1].digest);
    struct coordinator_record records[] = {
        {.type = RECORD_CONSISTENT, .step = 10, .shards = &shards[0]},
        {.type = RECORD_VERDICT, .step = 10, .bytes = 3},
        {.type = RECORD_CONSISTENT, .step = 20, .shards = &shards[1]},
    };
    for (uint32_t i = 0; i < 3; i++) {
        records[i].run = ask(1, 1, 0, 1).load_ask.run;
        records[i].epoch = 4;
        records[i].attempt = 1;
        records[i].world = 1;
        records[i].copies = 2;
    }
    cluster_stop(&cluster);
    cluster_start_with(&cluster, 2, records, 3);
    cluster_join(&cluster, 0, 1);
    verified(0, 10, 0, 1, true, 0);
    verified(0, 20, 0, 1, true, 0);

    struct message m = ask(1, 2, 0, 1); /* a load before that one */
    cluster_message(&cluster, 0, &m);
    assert_int_equal(cluster_find(&cluster, 0, MESSAGE_LOAD_VERDICT)->load_verdict.status,
                     CKPT_ERR_STALE);
    m = ask(1, 3, 0, 1);
    cluster_message(&cluster, 0, &m);
    const struct message *order = cluster_find(&cluster, 0, MESSAGE_VERIFY_ORDER);
    assert_int_equal(order->verify_order.shard.step, 10);
    verified(0, 10, 0, 1, true, order->verify_order.order);
    assert_int_equal(cluster_records(&cluster, RECORD_VERDICT), 0); /* it is on record already */
    m = ask(1, 4, 0, 1);
    cluster_message(&cluster, 0, &m);
    order = cluster_find(&cluster, 0, MESSAGE_VERIFY_ORDER);
    assert_int_equal(order->verify_order.shard.step, 20);
    verified(0, 20, 0, 1, true, order->verify_order.order);
    assert_int_equal(cluster_records(&cluster, RECORD_VERDICT), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(the_verdict_waits_for_the_last_rank, cluster),
        MACHINE_TEST(a_restore_is_one_verdict_on_record, cluster),
        MACHINE_TEST(a_copy_that_goes_before_anyone_is_told_holds_all_back, cluster),
        MACHINE_TEST(a_run_without_checkpoint_and_another_world_are_told, cluster),
        MACHINE_TEST(a_lost_shard_quarantines_and_falls_to_the_older, cluster),
        MACHINE_TEST(copies_on_nodes_that_are_away_are_not_given_up, cluster),
        MACHINE_TEST(a_source_whose_bytes_differ_has_to_digest_them, cluster),
        MACHINE_TEST(a_pull_that_fails_goes_to_the_next_source, cluster),
        MACHINE_TEST(a_fetch_waits_for_nobody_and_never_counts, cluster),
        MACHINE_TEST(a_flood_of_fetches_leaves_room, cluster),
        MACHINE_TEST(records_come_back_and_copies_are_judged_by_them, cluster),
        MACHINE_TEST(a_verdict_outlives_its_coordinator, cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
