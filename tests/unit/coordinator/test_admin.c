/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of a person: which are refused, and that a refused one changes nothing. */
#include "unit/coordinator/cluster.h"

#include <stdio.h>

CLUSTER_OF(4)

static struct message_admin_ask retire_of(uint64_t step)
{
    struct message_admin_ask ask = {.verb = ADMIN_RETIRE, .step = step};
    ask.run.uid = 1000;
    snprintf(ask.run.name, sizeof ask.run.name, "run");
    return ask;
}

static enum ckpt_status say(const struct message_admin_ask *ask)
{
    struct coordinator_event event = {
        .type = COORDINATOR_ADMIN, .now_ms = cluster.now_ms, .admin = ask};
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_OK);
    return cluster.update.admin_status;
}

SPOILS(another_users_run, struct message_admin_ask, it->run.uid = 7)
SPOILS(a_run_of_no_name, struct message_admin_ask, it->run.name[0] = 'x')
SPOILS(a_step_that_is_not_there, struct message_admin_ask, it->step = 15)
SPOILS(the_newest, struct message_admin_ask, it->step = 20)
SPOILS(the_newest_by_its_name, struct message_admin_ask, it->step = CKPT_STEP_LATEST)
SPOILS(a_verb_that_only_shows, struct message_admin_ask, it->verb = ADMIN_LIST)
SPOILS(a_node_of_no_name, struct message_admin_ask, it->verb = ADMIN_NODE_DRAIN)
SPOILS(a_node_that_is_not_known, struct message_admin_ask, it->verb = ADMIN_NODE_DRAIN,
       strcpy(it->node, "n9"))
SPOILS(a_node_that_is_joined, struct message_admin_ask, it->verb = ADMIN_NODE_FORGET,
       strcpy(it->node, "n1"))
SPOILS(forgetting_another_users_run, struct message_admin_ask, it->verb = ADMIN_RUN_FORGET,
       it->run.uid = 7)

static const struct refusal {
    const char *name;
    void (*spoil)(struct message_admin_ask *it);
    enum ckpt_status status;
} refusals[] = {
    {ROW(another_users_run), CKPT_ERR_NOT_FOUND},
    {ROW(a_run_of_no_name), CKPT_ERR_NOT_FOUND},
    {ROW(a_step_that_is_not_there), CKPT_ERR_NOT_FOUND},
    {ROW(the_newest), CKPT_ERR_INVALID},
    {ROW(the_newest_by_its_name), CKPT_ERR_INVALID},
    {ROW(a_verb_that_only_shows), CKPT_ERR_INVALID},
    {ROW(a_node_of_no_name), CKPT_ERR_NAME},
    {ROW(a_node_that_is_not_known), CKPT_ERR_NOT_FOUND},
    {ROW(a_node_that_is_joined), CKPT_ERR_BUSY},
    {ROW(forgetting_another_users_run), CKPT_ERR_NOT_FOUND},
};

static void a_refused_verb_says_why_and_changes_nothing(void **state)
{
    cluster_save(*state, 1, 10, 2);
    cluster_save(*state, 1, 20, 2);
    for (size_t i = 0; i < ROWS(refusals); i++) {
        struct message_admin_ask ask = retire_of(10);
        refusals[i].spoil(&ask);
        ROW_HOLDS(&refusals[i], say(&ask) == refusals[i].status);
        ROW_HOLDS(&refusals[i], cluster.update.admin_reason[0] != '\0');
        ROW_HOLDS(&refusals[i], cluster.update.record_count == 0);
        ROW_HOLDS(&refusals[i], cluster_checkpoint(&cluster, 10).state == CHECKPOINT_CONSISTENT);
    }
    struct message_admin_ask ask = retire_of(10);
    assert_int_equal(say(&ask), CKPT_OK);
    assert_int_equal(cluster_records(*state, RECORD_RETIRED), 1);
}

static void to_go_back_all_that_is_newer_is_withdrawn_and_retired(void **state)
{
    cluster_save(*state, 1, 10, 2);
    cluster_save(*state, 1, 20, 2);
    struct message_admin_ask ask = retire_of(10);
    ask.newer = true;
    assert_int_equal(say(&ask), CKPT_OK);
    assert_int_equal(cluster_records(*state, RECORD_WITHDRAWN), 1);
    assert_int_equal(cluster_records(*state, RECORD_RETIRED), 1);
    assert_int_equal(cluster_checkpoint(*state, 20).state, CHECKPOINT_NONE);
    assert_int_equal(cluster_checkpoint(*state, 10).state, CHECKPOINT_CONSISTENT);
}

static void verify_has_every_copy_digested_again(void **state)
{
    cluster_save(*state, 1, 10, 2);
    struct message_admin_ask ask = retire_of(10);
    ask.verb = ADMIN_VERIFY;
    assert_int_equal(say(&ask), CKPT_OK);
    assert_int_equal(cluster_count(*state, MESSAGE_VERIFY_ORDER), 4);
}

static uint64_t verified_ms(uint32_t node)
{
    struct coordinator_shard_view view;
    assert_true(coordinator_shard_view(cluster.c, 0, 0, &view));
    for (uint32_t i = 0; i < view.copy_count; i++) {
        if (view.copies[i].node[1] == (char)('0' + node)) {
            return view.copies[i].verified_ms;
        }
    }
    fail_msg("n%u has no copy", node);
    return 0;
}

/* n1's word was on its way when the order was given: what it tells is of before. */
static void verify_waits_for_an_answer_to_its_own_order(void **state)
{
    cluster_save(*state, 1, 10, 1);
    cluster_tick(*state, 100);
    uint64_t asked_ms = cluster.now_ms;
    struct message_admin_ask ask = retire_of(10);
    ask.verb = ADMIN_VERIFY;
    assert_int_equal(say(&ask), CKPT_OK);
    const struct message *order = cluster_find(*state, 1, MESSAGE_VERIFY_ORDER);
    assert_non_null(order);
    uint64_t number = order->verify_order.order;
    struct message m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, false, 10);
    cluster_message(*state, 1, &m);
    assert_true(verified_ms(1) < asked_ms);
    m.shard_report.order = number;
    cluster_message(*state, 1, &m);
    assert_true(verified_ms(1) >= asked_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_refused_verb_says_why_and_changes_nothing, cluster),
        MACHINE_TEST(to_go_back_all_that_is_newer_is_withdrawn_and_retired, cluster),
        MACHINE_TEST(verify_has_every_copy_digested_again, cluster),
        MACHINE_TEST(verify_waits_for_an_answer_to_its_own_order, cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
