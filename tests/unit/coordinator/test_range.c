/* SPDX-License-Identifier: Apache-2.0 */
/* A reader of a part of a shard: which source it is told of, what proves the bytes, and that
 * nothing else comes of its ask. Rank r's shard of `cluster_save(.., 2)` is on nodes r and one
 * more. */
#include "unit/coordinator/cluster.h"

CLUSTER_OF(4)

#define SHARD_BYTES 4096

static struct message ask(uint32_t rank, uint64_t offset, uint64_t bytes, uint32_t pass)
{
    struct message m = {.type = MESSAGE_LOAD_ASK};
    m.load_ask.run.uid = 1000;
    strcpy(m.load_ask.run.name, "run");
    m.load_ask.step = CKPT_STEP_LATEST;
    m.load_ask.rank = rank;
    m.load_ask.load = 7;
    m.load_ask.reader = 42;
    m.load_ask.range_offset = offset;
    m.load_ask.range_bytes = bytes;
    m.load_ask.range_pass = pass;
    return m;
}

/* The answer in the same turn; NULL: there was none. */
static const struct message_load_verdict *asked(uint32_t node, struct message m)
{
    cluster_message(&cluster, node, &m);
    const struct message *found = cluster_find(&cluster, node, MESSAGE_LOAD_VERDICT);
    return found != NULL ? &found->load_verdict : NULL;
}

static uint32_t orders(void)
{
    return cluster_count(&cluster, MESSAGE_PULL_ORDER) +
           cluster_count(&cluster, MESSAGE_VERIFY_ORDER);
}

static uint32_t node_of(const struct message_load_verdict *verdict)
{
    return (uint32_t)(verdict->source_node[1] - '0');
}

/* The node whose copy of rank 0 is told to node 3, which has none. */
static uint32_t told_to_node_3(uint32_t pass)
{
    const struct message_load_verdict *verdict = asked(3, ask(0, 0, 8, pass));
    assert_non_null(verdict);
    assert_int_equal(verdict->status, CKPT_OK);
    return node_of(verdict);
}

static void the_holder_is_named_and_nothing_is_ordered(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    const struct message_load_verdict *verdict = asked(3, ask(0, 100, SHARD_BYTES - 100, 0));
    assert_non_null(verdict);
    assert_int_equal(verdict->status, CKPT_OK);
    assert_int_equal(verdict->reader, 42);
    assert_int_equal(verdict->load, 7);
    assert_int_equal(verdict->shard.step, 10);
    assert_int_equal(verdict->shard.rank, 0);
    assert_int_equal(verdict->world, 2);
    assert_int_equal(verdict->bytes, SHARD_BYTES);
    assert_int_equal(verdict->digest.bytes[0], 10);
    assert_int_equal(verdict->key.kind, DIGEST_KIND_BLAKE3);
    assert_int_equal(verdict->source_count, 2);
    assert_false(incarnation_is_zero(&verdict->source_incarnation));
    assert_true(verdict->source_generation > 0);
    assert_true(verdict->source_address[0] != '\0');
    assert_int_equal(orders(), 0);
    assert_int_equal(cluster.update.record_count, 0);
}

static void each_pass_names_another_and_the_first_comes_again(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    uint32_t first = told_to_node_3(0);
    uint32_t second = told_to_node_3(1);
    assert_int_not_equal(first, second);
    assert_int_equal(told_to_node_3(2), first);
    assert_int_equal(told_to_node_3(UINT32_MAX), second);
    assert_int_equal(told_to_node_3(0), first); /* a repeat: nothing is kept of an ask */
}

static void a_holder_reads_its_own_first(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    for (uint32_t rank = 0; rank < 2; rank++) {
        const struct message_load_verdict *verdict = asked(rank, ask(rank, 0, 8, 0));
        assert_non_null(verdict);
        assert_int_equal(node_of(verdict), rank);
        verdict = asked(rank, ask(rank, 0, 8, 1));
        assert_int_not_equal(node_of(verdict), rank);
    }
}

/* What a fetch of the whole has left there counts for nobody else. */
static void a_cached_copy_is_read_by_its_own_agent_alone(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    struct message m = ask(0, 0, 0, 0);
    cluster_message(&cluster, 3, &m);
    const struct message *order = cluster_find(&cluster, 3, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    struct message done = cluster_report(1, 10, 0, 2, COPY_VERIFIED, false, 10);
    done.shard_report.order = order->pull_order.order;
    done.shard_report.cached = true;
    cluster_message(&cluster, 3, &done);
    const struct message_load_verdict *verdict = asked(3, ask(0, 0, 8, 0));
    assert_int_equal(node_of(verdict), 3);
    assert_int_equal(verdict->source_count, 3);
    verdict = asked(0, ask(0, 0, 8, 0));
    assert_int_equal(verdict->source_count, 2);
}

static void who_is_away_is_tried_last(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    uint32_t first = told_to_node_3(0);
    cluster_disconnect(&cluster, first);
    assert_int_not_equal(told_to_node_3(0), first);
    assert_int_equal(told_to_node_3(1), first); /* its agent may be well for all that */
}

static void a_copy_whose_bytes_changed_is_no_source(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    uint32_t first = told_to_node_3(0);
    struct message m = cluster_report(1, 10, 0, 2, COPY_VERIFIED, first == 0, 66);
    cluster_message(&cluster, first, &m);
    for (uint32_t pass = 0; pass < 3; pass++) {
        assert_int_not_equal(told_to_node_3(pass), first);
    }
}

static const struct {
    const char *name;
    uint64_t offset;
    uint64_t bytes;
    enum ckpt_status status;
} bounds[] = {
    {"all of it", 0, SHARD_BYTES, CKPT_OK},
    {"its last byte", SHARD_BYTES - 1, 1, CKPT_OK},
    {"one byte too many", 1, SHARD_BYTES, CKPT_ERR_SIZE},
    {"one that begins where it ends", SHARD_BYTES, 1, CKPT_ERR_SIZE},
    {"a sum that wraps", 8, UINT64_MAX - 4, CKPT_ERR_SIZE},
    {"a begin that is nowhere", UINT64_MAX, UINT64_MAX, CKPT_ERR_SIZE},
};

static void a_range_lies_within_the_shard(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    for (size_t i = 0; i < ROWS(bounds); i++) {
        const struct message_load_verdict *verdict =
            asked(3, ask(0, bounds[i].offset, bounds[i].bytes, 0));
        ROW_HOLDS(&bounds[i], verdict != NULL && verdict->status == bounds[i].status);
        ROW_HOLDS(&bounds[i], (verdict->source_count > 0) == (bounds[i].status == CKPT_OK));
        ROW_HOLDS(&bounds[i], orders() == 0);
    }
}

static void what_is_not_there_is_refused_as_a_fetch_is(void **state)
{
    (void)state;
    assert_int_equal(asked(3, ask(0, 0, 8, 0))->status, CKPT_ERR_NO_CHECKPOINT);
    cluster_save(&cluster, 1, 10, 2);
    assert_int_equal(asked(3, ask(2, 0, 8, 0))->status, CKPT_ERR_RANK);
    struct message m = ask(0, 0, 8, 0);
    m.load_ask.step = 11;
    assert_int_equal(asked(3, m)->status, CKPT_ERR_NOT_FOUND);
}

/* Both nodes that had it are gone for good. */
static void without_a_source_there_is_no_answer_until_it_is_lost(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    uint32_t first = told_to_node_3(0);
    uint32_t second = told_to_node_3(1);
    struct message m = cluster_report(1, 10, 0, 2, COPY_VERIFIED, first == 0, 66);
    cluster_message(&cluster, first, &m);
    m = cluster_report(1, 10, 0, 2, COPY_VERIFIED, second == 0, 67);
    cluster_message(&cluster, second, &m);
    const struct message_load_verdict *verdict = asked(3, ask(0, 0, 8, 0));
    assert_true(verdict == NULL || verdict->status != CKPT_OK);
    cluster_pass(&cluster, 120000, 4, 0);
    verdict = asked(3, ask(0, 0, 8, 0));
    assert_non_null(verdict);
    assert_int_not_equal(verdict->status, CKPT_OK);
    assert_int_equal(verdict->source_count, 0);
}

static void a_whole_shard_s_verdict_says_nothing_of_sources(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 2);
    struct message m = ask(0, 0, 0, 0);
    cluster_message(&cluster, 0, &m);
    uint64_t order = cluster_find(&cluster, 0, MESSAGE_VERIFY_ORDER)->verify_order.order;
    m = cluster_report(1, 10, 0, 2, COPY_VERIFIED, true, 10);
    m.shard_report.order = order;
    cluster_message(&cluster, 0, &m);
    const struct message *verdict = cluster_find(&cluster, 0, MESSAGE_LOAD_VERDICT);
    assert_non_null(verdict);
    assert_int_equal(verdict->load_verdict.source_count, 0);
    assert_int_equal(verdict->load_verdict.key.kind, DIGEST_KIND_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(the_holder_is_named_and_nothing_is_ordered, cluster),
        MACHINE_TEST(each_pass_names_another_and_the_first_comes_again, cluster),
        MACHINE_TEST(a_holder_reads_its_own_first, cluster),
        MACHINE_TEST(a_cached_copy_is_read_by_its_own_agent_alone, cluster),
        MACHINE_TEST(who_is_away_is_tried_last, cluster),
        MACHINE_TEST(a_copy_whose_bytes_changed_is_no_source, cluster),
        MACHINE_TEST(a_range_lies_within_the_shard, cluster),
        MACHINE_TEST(what_is_not_there_is_refused_as_a_fetch_is, cluster),
        MACHINE_TEST(without_a_source_there_is_no_answer_until_it_is_lost, cluster),
        MACHINE_TEST(a_whole_shard_s_verdict_says_nothing_of_sources, cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
