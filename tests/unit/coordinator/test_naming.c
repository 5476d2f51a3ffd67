/* SPDX-License-Identifier: Apache-2.0 */
/* BLAKE3 of copies that fingerprints prove: who is asked, what an answer says, and what it does not
 * say. */
#include "unit/coordinator/cluster.h"

CLUSTER_OF(0)

#define STEP 10

static uint64_t key_id;

/* One rank on n0, with a copy on n1: consistent, under the run's key. */
static void begin(void)
{
    struct coordinator_config config;
    cluster_stop(&cluster);
    cluster_config(&config, 2);
    config.digest = DIGEST_KIND_FINGERPRINT;
    cluster_start_config(&cluster, config, NULL, 0);
    cluster.secret.bytes[0] = 9;
    const struct digest_key key = {.kind = DIGEST_KIND_FINGERPRINT, .secret = {{9}}};
    key_id = digest_key_id(&key);
    cluster_join(&cluster, 0, 1);
    cluster_join(&cluster, 1, 2);
    struct message m = cluster_report(1, STEP, 0, 1, COPY_SEALED, true, 7);
    cluster_message(&cluster, 0, &m);
    uint64_t order = cluster_find(&cluster, 1, MESSAGE_PULL_ORDER)->pull_order.order;
    m = cluster_report(1, STEP, 0, 1, COPY_VERIFIED, true, 7);
    m.shard_report.digest_key = key_id;
    cluster_message(&cluster, 0, &m);
    m = cluster_report(1, STEP, 0, 1, COPY_VERIFIED, false, 7);
    m.shard_report.digest_key = key_id;
    m.shard_report.order = order;
    cluster_message(&cluster, 1, &m);
    assert_int_equal(cluster_checkpoint(&cluster, STEP).state, CHECKPOINT_CONSISTENT);
}

static enum ckpt_status ask(uint64_t step)
{
    struct message_admin_ask ask = {.verb = ADMIN_VERIFY, .step = step, .blake3 = true};
    ask.run.uid = 1000;
    strcpy(ask.run.name, "run");
    struct coordinator_event event = {
        .type = COORDINATOR_ADMIN, .now_ms = cluster.now_ms, .admin = &ask};
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_OK);
    return cluster.update.admin_status;
}

/* The order that the node got in the last turn. */
static uint64_t order_to(uint32_t node)
{
    const struct message *order = cluster_find(&cluster, node, MESSAGE_VERIFY_ORDER);
    assert_non_null(order);
    assert_int_equal(order->verify_order.key.kind, DIGEST_KIND_BLAKE3);
    return order->verify_order.order;
}

static void answers(uint32_t node, uint64_t order, uint8_t name)
{
    struct message m = cluster_report(1, STEP, 0, 1, COPY_VERIFIED, node == 0, name);
    m.shard_report.order = order;
    m.shard_report.digest_key = DIGEST_KEY_ID_BLAKE3;
    cluster_message(&cluster, node, &m);
}

static bool noted(enum event_id event)
{
    for (uint32_t i = 0; i < cluster.update.note_count; i++) {
        if (cluster.update.notes[i].event == event) {
            return true;
        }
    }
    return false;
}

static struct coordinator_name_view name_of(uint32_t node)
{
    struct coordinator_name_view view;
    for (uint32_t i = 0; coordinator_name_view(cluster.c, i, &view); i++) {
        if (view.node[1] == (char)('0' + node)) {
            return view;
        }
    }
    fail_msg("n%u was not asked", node);
    return view;
}

static struct coordinator_copy_view copy_of(uint32_t node)
{
    struct coordinator_shard_view view;
    assert_true(coordinator_shard_view(cluster.c, 0, 0, &view));
    for (uint32_t i = 0; i < view.copy_count; i++) {
        if (view.copies[i].node[1] == (char)('0' + node)) {
            return view.copies[i];
        }
    }
    return (struct coordinator_copy_view){.node = NULL};
}

static void every_holder_is_asked_once_until_it_answers(void **state)
{
    (void)state;
    begin();
    assert_int_equal(ask(STEP), CKPT_OK);
    uint64_t first = order_to(0), second = order_to(1);
    assert_int_not_equal(first, second);
    answers(0, first, 5);
    assert_int_equal(cluster_count(&cluster, MESSAGE_VERIFY_ORDER), 0);
    cluster_tick(&cluster, 1000);
    assert_int_equal(cluster_count(&cluster, MESSAGE_VERIFY_ORDER), 1);
    assert_int_equal(order_to(1), second);
    answers(1, second, 5);
    cluster_tick(&cluster, 1000);
    assert_int_equal(cluster_count(&cluster, MESSAGE_VERIFY_ORDER), 0);
    assert_true(name_of(0).told && name_of(1).told);
    assert_int_equal(name_of(1).name.bytes[3], 5);
}

static void an_answer_says_nothing_of_the_proof(void **state)
{
    (void)state;
    begin();
    assert_int_equal(ask(STEP), CKPT_OK);
    struct coordinator_copy_view before = copy_of(1);
    answers(1, order_to(1), 5);
    struct coordinator_copy_view after = copy_of(1);
    assert_int_equal(after.state, COPY_VERIFIED);
    assert_false(after.bad || after.verifying);
    assert_int_equal(after.verified_ms, before.verified_ms);
    assert_int_equal(cluster_count(&cluster, MESSAGE_SHARD_ACK), 0);
    struct coordinator_shard_view shard;
    assert_true(coordinator_shard_view(cluster.c, 0, 0, &shard));
    assert_int_equal(shard.digest_kind, DIGEST_KIND_FINGERPRINT);
    assert_int_equal(shard.copies_now, 2);
}

/* Of another node, of another generation, of no order that was given. */
static void who_was_not_asked_is_not_heard(void **state)
{
    (void)state;
    begin();
    assert_int_equal(ask(STEP), CKPT_OK);
    uint64_t first = order_to(0), second = order_to(1);
    answers(1, first, 5);
    answers(1, second + 1, 5);
    assert_false(name_of(0).told || name_of(1).told);
    struct message m = cluster_report(1, STEP, 0, 1, COPY_VERIFIED, false, 9);
    m.shard_report.order = second;
    m.shard_report.generation++;
    cluster_message(&cluster, 1, &m);
    assert_false(name_of(1).told);
    assert_false(name_of(1).is_there); /* the copy is another one by now */
}

static void where_two_differ_all_are_proven_again(void **state)
{
    (void)state;
    begin();
    assert_int_equal(ask(STEP), CKPT_OK);
    uint64_t first = order_to(0), second = order_to(1);
    answers(0, first, 5);
    assert_false(copy_of(0).verifying);
    answers(1, second, 6);
    assert_true(copy_of(0).verifying && copy_of(1).verifying);
    assert_int_equal(cluster_count(&cluster, MESSAGE_VERIFY_ORDER), 2);
    assert_int_equal(cluster_find(&cluster, 1, MESSAGE_VERIFY_ORDER)->verify_order.key.kind,
                     DIGEST_KIND_FINGERPRINT);
    assert_true(noted(EVENT_names_differ));
}

static void a_copy_that_is_gone_is_waited_for_no_more(void **state)
{
    (void)state;
    begin();
    assert_int_equal(ask(STEP), CKPT_OK);
    uint64_t order = order_to(1);
    struct message m = cluster_report(1, STEP, 0, 1, COPY_NONE, false, 7);
    m.shard_report.order = order;
    cluster_message(&cluster, 1, &m);
    assert_false(name_of(1).is_there);
    assert_true(name_of(0).is_there);
}

static void one_checkpoint_at_a_time(void **state)
{
    (void)state;
    begin();
    struct message m = cluster_report(1, STEP + 10, 0, 1, COPY_SEALED, true, 17);
    cluster_message(&cluster, 0, &m);
    assert_int_equal(ask(STEP), CKPT_OK);
    uint64_t first = order_to(0);
    assert_int_equal(ask(STEP + 10), CKPT_ERR_BUSY);
    assert_int_equal(ask(STEP), CKPT_OK);
    answers(0, first, 5); /* an answer to the ask before */
    assert_false(name_of(0).told);
    cluster_pass(&cluster, 11000, 2, 0); /* nobody answers */
    assert_int_equal(ask(STEP + 10), CKPT_OK);
    struct coordinator_names_view view;
    assert_false(coordinator_names_view(cluster.c, 0, &view));
    assert_true(coordinator_names_view(cluster.c, 1, &view));
}

static void a_run_that_blake3_proves_is_verified_by_it(void **state)
{
    (void)state;
    struct coordinator_config config;
    cluster_stop(&cluster);
    cluster_config(&config, 2);
    config.digest = DIGEST_KIND_BLAKE3;
    cluster_start_config(&cluster, config, NULL, 0);
    cluster_join(&cluster, 0, 1);
    cluster_join(&cluster, 1, 2);
    cluster_save(&cluster, 1, STEP, 1);
    assert_int_equal(ask(STEP), CKPT_OK);
    assert_int_equal(cluster_count(&cluster, MESSAGE_VERIFY_ORDER), 2);
    assert_true(copy_of(0).verifying && copy_of(1).verifying);
    struct coordinator_names_view view;
    assert_false(coordinator_names_view(cluster.c, 0, &view));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(every_holder_is_asked_once_until_it_answers, cluster),
        MACHINE_TEST(an_answer_says_nothing_of_the_proof, cluster),
        MACHINE_TEST(who_was_not_asked_is_not_heard, cluster),
        MACHINE_TEST(where_two_differ_all_are_proven_again, cluster),
        MACHINE_TEST(a_copy_that_is_gone_is_waited_for_no_more, cluster),
        MACHINE_TEST(one_checkpoint_at_a_time, cluster),
        MACHINE_TEST(a_run_that_blake3_proves_is_verified_by_it, cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
