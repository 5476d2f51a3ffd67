/* SPDX-License-Identifier: Apache-2.0 */
/* What is consistent goes to the tier: who takes which shard there, and what becomes of it. */
#include "unit/coordinator/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define WORLD 2
#define NODES 4

static struct cluster cluster;

static void join(uint32_t node)
{
    struct message m = {.type = MESSAGE_JOIN};
    m.join.protocol = WIRE_PROTOCOL_VERSION;
    snprintf(m.join.node, sizeof m.join.node, "n%u", node);
    snprintf(m.join.domain, sizeof m.join.domain, "d%u", node);
    snprintf(m.join.address, sizeof m.join.address, "127.0.0.1:%u", 7000 + node);
    m.join.cluster = coordinator_cluster(cluster.c);
    m.join.segment_bytes = 1 << 20;
    m.join.segments = m.join.segments_free = 16;
    m.join.features = WIRE_FEATURES | WIRE_FEATURE_FINGERPRINT | WIRE_FEATURE_TIER;
    m.join.has_tier = true;
    cluster_message(&cluster, node, &m);
}

static void start_of(struct coordinator_config config)
{
    cluster_start_config(&cluster, config, NULL, 0);
    for (uint32_t node = 0; node < NODES; node++) {
        join(node);
    }
    cluster_alive(&cluster, NODES, 0);
}

static int start(void **state)
{
    (void)state;
    struct coordinator_config config;
    cluster_config(&config, 2);
    start_of(config);
    cluster_save(&cluster, 1, 10, WORLD);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

/* The last update's orders of shards, by rank: which node has which. */
static uint32_t orders(const struct message_persist_order *told[WORLD], uint32_t nodes[WORLD])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < cluster.update.message_count; i++) {
        const struct coordinator_outgoing *out = &cluster.update.messages[i];
        if (out->message.type == MESSAGE_PERSIST_ORDER) {
            uint32_t rank = out->message.persist_order.shard.rank;
            told[rank] = &out->message.persist_order;
            nodes[rank] = out->link;
            count++;
        }
    }
    return count;
}

static void tell(uint32_t node, uint64_t order, enum ckpt_status status, uint8_t name)
{
    struct message m = {.type = MESSAGE_PERSIST_TOLD};
    m.persist_told.order = order;
    m.persist_told.status = status;
    m.persist_told.name.bytes[0] = name;
    strcpy(m.persist_told.reason, status == CKPT_OK ? "" : "as the test says");
    cluster_message(&cluster, node, &m);
}

/* Whoever has a place for it is told by the next round. */
static uint32_t round_of(const struct message_persist_order *told[WORLD], uint32_t nodes[WORLD])
{
    cluster_tick(&cluster, 600);
    return orders(told, nodes);
}

/* The manifest's order, after both shards are durable. */
static const struct message *manifest_order(uint32_t *node_out)
{
    for (uint32_t node = 0; node < NODES; node++) {
        const struct message *m = cluster_find(&cluster, node, MESSAGE_MANIFEST_ORDER);
        if (m != NULL) {
            *node_out = node;
            return m;
        }
    }
    return NULL;
}

static uint64_t drain_shards(void)
{
    const struct message_persist_order *told[WORLD] = {NULL};
    uint32_t nodes[WORLD] = {0};
    assert_int_equal(round_of(told, nodes), WORLD);
    uint64_t first = told[0]->order, second = told[1]->order;
    uint32_t first_node = nodes[0], second_node = nodes[1];
    tell(first_node, first, CKPT_OK, 1);
    assert_int_equal(cluster_count(&cluster, MESSAGE_MANIFEST_ORDER), 0);
    tell(second_node, second, CKPT_OK, 2);
    uint32_t node;
    const struct message *m = manifest_order(&node);
    assert_non_null(m);
    assert_int_equal(m->manifest_order.world, WORLD);
    assert_int_equal(m->manifest_order.step, 10);
    return m->manifest_order.order;
}

static void each_shard_goes_by_who_has_it_then_the_manifest_then_it_is_on_record(void **state)
{
    (void)state;
    uint64_t order = drain_shards();
    uint32_t node = 0;
    assert_non_null(manifest_order(&node));
    assert_int_equal(cluster_records(&cluster, RECORD_PERSISTED), 0);
    tell((node + 1) % NODES, order, CKPT_OK, 0); /* not who was told */
    assert_int_equal(cluster_records(&cluster, RECORD_PERSISTED), 0);
    tell(node, order, CKPT_OK, 0);
    assert_int_equal(cluster_records(&cluster, RECORD_PERSISTED), 1);
    assert_int_equal(cluster_records(&cluster, RECORD_LATEST_PERSISTED), 1);
    assert_int_equal(strlen(cluster.update.records[0].reason), 64);
    tell(node, order, CKPT_OK, 0); /* said twice */
    assert_int_equal(cluster.update.record_count, 0);
    assert_true(cluster_checkpoint(&cluster, 10).persisted);
    struct coordinator_run_view run;
    assert_true(coordinator_run_view(cluster.c, 0, &run));
    assert_true(run.has_persisted);
    assert_int_equal(run.persisted_step, 10);
    cluster_pass(&cluster, 5000, NODES, 0);
    assert_int_equal(cluster_count(&cluster, MESSAGE_PERSIST_ORDER), 0);
}

static void an_order_names_the_committed_digest_and_is_repeated(void **state)
{
    (void)state;
    const struct message_persist_order *told[WORLD] = {NULL};
    uint32_t nodes[WORLD] = {0};
    assert_int_equal(round_of(told, nodes), WORLD);
    struct coordinator_shard_view shard;
    assert_true(coordinator_shard_view(cluster.c, 0, 0, &shard));
    assert_memory_equal(&told[0]->digest, &shard.digest, sizeof shard.digest);
    assert_int_equal(told[0]->bytes, shard.bytes);
    assert_int_equal(told[0]->world, WORLD);
    uint64_t number = told[0]->order;
    assert_int_equal(round_of(told, nodes), WORLD);
    assert_int_equal(told[0]->order, number);
}

static void who_fails_or_is_lost_is_stood_in_for(void **state)
{
    (void)state;
    const struct message_persist_order *told[WORLD] = {NULL};
    uint32_t nodes[WORLD] = {0};
    assert_int_equal(round_of(told, nodes), WORLD);
    uint64_t number = told[0]->order;
    uint32_t first = nodes[0];
    tell(first, number, CKPT_ERR_DENIED, 0);
    assert_int_equal(orders(told, nodes), 1); /* the other holder, at once */
    assert_int_not_equal(nodes[0], first);
    uint32_t second = nodes[0];
    uint64_t again = told[0]->order;
    assert_int_not_equal(again, number);
    cluster_disconnect(&cluster, second);
    cluster_pass(&cluster, 4000, NODES, 1u << second);
    tell(second, again, CKPT_OK, 1); /* its word comes from the grave */
    assert_int_equal(cluster_count(&cluster, MESSAGE_MANIFEST_ORDER), 0);
    for (uint32_t i = 0; i < 20 && (told[0]->order == again || nodes[0] != first); i++) {
        cluster_pass(&cluster, 500, NODES, 1u << second);
        (void)orders(told, nodes);
    }
    assert_int_equal(nodes[0], first);
}

static void a_full_tier_stops_all_and_goes_on_by_itself(void **state)
{
    (void)state;
    const struct message_persist_order *told[WORLD] = {NULL};
    uint32_t nodes[WORLD] = {0};
    assert_int_equal(round_of(told, nodes), WORLD);
    uint64_t numbers[WORLD] = {told[0]->order, told[1]->order};
    uint32_t first[WORLD] = {nodes[0], nodes[1]};
    tell(first[0], numbers[0], CKPT_ERR_FULL, 0);
    assert_int_equal(orders(told, nodes), 0);
    struct coordinator_tier_view tier;
    coordinator_tier_view(cluster.c, &tier);
    assert_true(tier.is_stopped);
    assert_int_equal(tier.status, CKPT_ERR_FULL);
    tell(first[1], numbers[1], CKPT_ERR_FULL, 0);
    uint32_t asked = 0;
    for (uint32_t i = 0; i < 80 && asked == 0; i++) {
        cluster_pass(&cluster, 500, NODES, 0);
        asked = orders(told, nodes);
    }
    assert_int_equal(asked, 1); /* one at a time */
    uint32_t rank = told[0]->order != numbers[0] ? 0 : 1;
    tell(nodes[rank], told[rank]->order, CKPT_OK, 1);
    coordinator_tier_view(cluster.c, &tier);
    assert_false(tier.is_stopped);
    assert_int_equal(orders(told, nodes), 1); /* and all the others */
}

static void shards_that_the_tier_has_not_go_again(void **state)
{
    (void)state;
    uint64_t order = drain_shards();
    uint32_t node = 0;
    assert_non_null(manifest_order(&node));
    tell(node, order, CKPT_ERR_NOT_FOUND, 0);
    assert_int_equal(cluster_records(&cluster, RECORD_PERSISTED), 0);
    const struct message_persist_order *told[WORLD] = {NULL};
    uint32_t nodes[WORLD] = {0};
    uint32_t asked = 0;
    for (uint32_t i = 0; i < 20 && asked == 0; i++) {
        cluster_pass(&cluster, 500, NODES, 0);
        asked = orders(told, nodes);
    }
    assert_int_equal(asked, WORLD);
}

static void bytes_that_differ_there_are_proven_again_here(void **state)
{
    (void)state;
    const struct message_persist_order *told[WORLD] = {NULL};
    uint32_t nodes[WORLD] = {0};
    assert_int_equal(round_of(told, nodes), WORLD);
    uint32_t node = nodes[0];
    tell(node, told[0]->order, CKPT_ERR_DIGEST, 0);
    assert_non_null(cluster_find(&cluster, node, MESSAGE_VERIFY_ORDER));
}

static void what_is_on_its_way_is_kept_and_what_cannot_go_is_not(void **state)
{
    (void)state;
    const struct message_persist_order *told[WORLD] = {NULL};
    uint32_t nodes[WORLD] = {0};
    assert_int_equal(round_of(told, nodes), WORLD);
    uint64_t number = told[0]->order;
    uint32_t node = nodes[0];
    cluster_save(&cluster, 1, 20, WORLD);
    cluster_save(&cluster, 1, 30, WORLD);
    cluster_pass(&cluster, 1000, NODES, 0);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
    tell(node, number, CKPT_ERR_FULL, 0);
    cluster_tick(&cluster, 600);
    for (uint32_t i = 0; i < coordinator_checkpoint_count(cluster.c); i++) {
        struct coordinator_checkpoint_view k;
        assert_true(!coordinator_checkpoint_view(cluster.c, i, &k) || k.step != 10);
    }
}

static void records_bring_it_back(void **state)
{
    (void)state;
    uint64_t order = drain_shards();
    uint32_t node = 0;
    assert_non_null(manifest_order(&node));
    tell(node, order, CKPT_OK, 0);
    struct coordinator_record latest = cluster.update.records[1];
    assert_int_equal(latest.type, RECORD_LATEST_PERSISTED);
    cluster_stop(&cluster);
    latest.epoch = 1;
    struct coordinator_config config;
    cluster_config(&config, 2);
    cluster_start_config(&cluster, config, &latest, 1);
    struct coordinator_run_view run;
    assert_true(coordinator_run_view(cluster.c, 0, &run));
    assert_true(run.has_persisted);
    assert_int_equal(run.persisted_step, 10);
    assert_int_equal(run.persisted_attempt, 1);
}

static void steps_of_a_stretch_that_is_there_are_passed_over(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    struct coordinator_config config;
    cluster_config(&config, 2);
    config.persist_every = 100;
    start_of(config);
    cluster_save(&cluster, 1, 10, WORLD);
    uint64_t order = drain_shards();
    uint32_t node = 0;
    assert_non_null(manifest_order(&node));
    tell(node, order, CKPT_OK, 0);
    const struct message_persist_order *told[WORLD] = {NULL};
    uint32_t nodes[WORLD] = {0};
    cluster_save(&cluster, 1, 99, WORLD);
    assert_int_equal(round_of(told, nodes), 0);
    cluster_save(&cluster, 1, 103, WORLD);
    assert_int_equal(round_of(told, nodes), WORLD);
    assert_int_equal(told[0]->shard.step, 103);
}

/* What a rank of the start hears of its step. */
static struct message_checkpoint_info heard(uint32_t attempt, uint64_t step)
{
    struct message m = {.type = MESSAGE_CHECKPOINT_ASK};
    m.checkpoint_ask.run.uid = 1000;
    strcpy(m.checkpoint_ask.run.name, "run");
    m.checkpoint_ask.step = step;
    m.checkpoint_ask.attempt = attempt;
    cluster_message(&cluster, 0, &m);
    const struct message *info = cluster_find(&cluster, 0, MESSAGE_CHECKPOINT_INFO);
    assert_non_null(info);
    return info->checkpoint_info;
}

static void persist(uint64_t step)
{
    const struct message_persist_order *told[WORLD] = {NULL};
    uint32_t nodes[WORLD] = {0};
    assert_int_equal(round_of(told, nodes), WORLD);
    assert_int_equal(told[0]->shard.step, step);
    uint64_t numbers[WORLD] = {told[0]->order, told[1]->order};
    uint32_t whose[WORLD] = {nodes[0], nodes[1]};
    for (uint32_t rank = 0; rank < WORLD; rank++) {
        tell(whose[rank], numbers[rank], CKPT_OK, (uint8_t)(rank + 1));
    }
    uint32_t node = 0;
    const struct message *m = manifest_order(&node);
    assert_non_null(m);
    tell(node, m->manifest_order.order, CKPT_OK, 0);
    assert_int_equal(cluster_records(&cluster, RECORD_PERSISTED), 1);
}

static void who_asks_hears_whether_it_is_there(void **state)
{
    (void)state;
    assert_int_equal(heard(1, 10).tier, CHECKPOINT_TIER_AWAITED);
    assert_false(heard(1, 10).has_persisted);
    persist(10);
    struct message_checkpoint_info info = heard(1, 10);
    assert_int_equal(info.tier, CHECKPOINT_TIER_WHOLE);
    assert_true(info.has_persisted);
    assert_int_equal(info.persisted_attempt, 1);
    assert_int_equal(info.persisted_step, 10);
    assert_int_equal(heard(0, CKPT_STEP_LATEST).tier, CHECKPOINT_TIER_WHOLE);
    assert_int_equal(heard(1, 11).tier, CHECKPOINT_TIER_AWAITED); /* it may be on its way here */
    assert_int_equal(heard(0, 9).tier, CHECKPOINT_TIER_AWAITED);
}

/* Its copies went from memory: of the newest there it is on record, of older ones not. */
static void of_what_left_memory_the_newest_there_is_known(void **state)
{
    (void)state;
    persist(10);
    for (uint64_t step = 20; step <= 40; step += 10) {
        cluster_save(&cluster, 1, step, WORLD);
    }
    assert_int_equal(heard(1, 10).state, CHECKPOINT_RETIRED);
    assert_int_equal(heard(1, 10).tier, CHECKPOINT_TIER_WHOLE);
    assert_int_equal(heard(1, 20).tier, CHECKPOINT_TIER_PASSED);
    persist(40);
    assert_int_equal(heard(1, 40).tier, CHECKPOINT_TIER_WHOLE);
    assert_int_equal(heard(1, 30).tier, CHECKPOINT_TIER_PASSED); /* in memory, and older */
    assert_int_equal(heard(1, 10).tier, CHECKPOINT_TIER_FORGOTTEN);
}

static void a_step_that_is_not_due_is_passed_over_at_once(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    struct coordinator_config config;
    cluster_config(&config, 2);
    config.persist_every = 100;
    start_of(config);
    cluster_save(&cluster, 1, 10, WORLD);
    assert_int_equal(heard(1, 10).tier, CHECKPOINT_TIER_AWAITED);
    persist(10);
    cluster_save(&cluster, 1, 99, WORLD);
    assert_int_equal(heard(1, 99).tier, CHECKPOINT_TIER_PASSED);
    cluster_save(&cluster, 1, 103, WORLD);
    assert_int_equal(heard(1, 103).tier, CHECKPOINT_TIER_AWAITED);
}

static void one_that_may_grow_due_by_age_is_awaited(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    struct coordinator_config config;
    cluster_config(&config, 2);
    config.persist_every = 100;
    config.persist_max_age_ms = 60000;
    start_of(config);
    cluster_save(&cluster, 1, 10, WORLD);
    persist(10);
    cluster_save(&cluster, 1, 99, WORLD);
    assert_int_equal(heard(1, 99).tier, CHECKPOINT_TIER_AWAITED);
}

/* Nobody has a tier: that is known once agents of before a restart would have been heard of, and
 * one that is away may come back. */
static void without_a_tier_it_is_said(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    cluster_start_nodes(&cluster, NODES);
    cluster_save(&cluster, 1, 10, WORLD);
    assert_int_equal(heard(1, 10).tier, CHECKPOINT_TIER_AWAITED);
    struct coordinator_config config;
    cluster_config(&config, 2);
    cluster_pass(&cluster, config.restore_settle_ms + 1000, NODES, 0);
    assert_int_equal(heard(1, 10).tier, CHECKPOINT_TIER_ABSENT);
    join(NODES);
    assert_int_equal(heard(1, 10).tier, CHECKPOINT_TIER_AWAITED);
    cluster_disconnect(&cluster, NODES);
    cluster_pass(&cluster, 20000, NODES, 0);
    assert_int_equal(heard(1, 10).tier, CHECKPOINT_TIER_AWAITED);
}

#define OF_CLUSTER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_CLUSTER(each_shard_goes_by_who_has_it_then_the_manifest_then_it_is_on_record),
        OF_CLUSTER(an_order_names_the_committed_digest_and_is_repeated),
        OF_CLUSTER(who_fails_or_is_lost_is_stood_in_for),
        OF_CLUSTER(a_full_tier_stops_all_and_goes_on_by_itself),
        OF_CLUSTER(shards_that_the_tier_has_not_go_again),
        OF_CLUSTER(bytes_that_differ_there_are_proven_again_here),
        OF_CLUSTER(what_is_on_its_way_is_kept_and_what_cannot_go_is_not),
        OF_CLUSTER(records_bring_it_back),
        OF_CLUSTER(steps_of_a_stretch_that_is_there_are_passed_over),
        OF_CLUSTER(who_asks_hears_whether_it_is_there),
        OF_CLUSTER(of_what_left_memory_the_newest_there_is_known),
        OF_CLUSTER(a_step_that_is_not_due_is_passed_over_at_once),
        OF_CLUSTER(one_that_may_grow_due_by_age_is_awaited),
        OF_CLUSTER(without_a_tier_it_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
