/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a lease says that nothing has to be told again: when, and only when, the tables are as
 * the agent's memory is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unit/coordinator/cluster.h"
#include "wire/inventory.h"

/* What an agent would say that has these copies. */
static uint64_t weigh(uint64_t step, uint32_t rank, bool owner, enum copy_state state,
                      bool consistent)
{
    struct message m = cluster_report(1, step, rank, 2, state, owner, (uint8_t)(step + rank));
    const struct message_shard_report *r = &m.shard_report;
    uint64_t weight =
        inventory_copy(inventory_shard(&r->shard), r->generation, state, owner, false, &r->digest);
    return consistent ? inventory_consistent(weight) : weight;
}

static bool settled(struct cluster *cluster, uint32_t node, uint64_t inventory)
{
    struct message m = {.type = MESSAGE_HEARTBEAT};
    m.heartbeat.segments_free = 8;
    m.heartbeat.has_inventory = true;
    m.heartbeat.inventory = inventory;
    cluster_message(cluster, node, &m);
    const struct message *lease = cluster_find(cluster, node, MESSAGE_LEASE);
    return lease == NULL || lease->lease.settled; /* no word: what was last said holds */
}

static void start(struct cluster *cluster, uint32_t keep)
{
    cluster_start(cluster, keep);
    cluster_join(cluster, 0, 1);
    cluster_join(cluster, 1, 2);
}

static void a_lease_says_whether_the_tables_are_the_memory(void **state)
{
    (void)state;
    struct cluster cluster;
    start(&cluster, 1);
    assert_true(settled(&cluster, 0, 0));
    struct message m = cluster_report(1, 5, 0, 2, COPY_SEALED, true, 5);
    cluster_message(&cluster, 0, &m);
    assert_true(settled(&cluster, 0, weigh(5, 0, true, COPY_SEALED, false)));
    assert_false(settled(&cluster, 0, weigh(5, 0, true, COPY_VERIFIED, false)));
    assert_false(settled(&cluster, 0, 0));
    cluster_save(&cluster, 1, 10, 2);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
    uint64_t all =
        weigh(10, 0, true, COPY_VERIFIED, true) + weigh(10, 1, false, COPY_VERIFIED, true);
    assert_true(settled(&cluster, 0, all));
    /* The word of the commit was lost: the agent's copies are of an open checkpoint. */
    assert_false(settled(&cluster, 0,
                         weigh(10, 0, true, COPY_VERIFIED, false) +
                             weigh(10, 1, false, COPY_VERIFIED, false)));
    cluster_stop(&cluster);
}

/* It would keep memory that nobody counts. */
static void a_lost_word_of_retirement_unsettles(void **state)
{
    (void)state;
    struct cluster cluster;
    start(&cluster, 1);
    cluster_save(&cluster, 1, 10, 2);
    uint64_t old =
        weigh(10, 0, true, COPY_VERIFIED, true) + weigh(10, 1, false, COPY_VERIFIED, true);
    assert_true(settled(&cluster, 0, old));
    cluster_save(&cluster, 1, 20, 2);
    uint64_t new =
        weigh(20, 0, true, COPY_VERIFIED, true) + weigh(20, 1, false, COPY_VERIFIED, true);
    assert_false(settled(&cluster, 0, old + new));
    assert_true(settled(&cluster, 0, new));
    cluster_stop(&cluster);
}

static void a_new_life_begins_with_nothing(void **state)
{
    (void)state;
    struct cluster cluster;
    start(&cluster, 1);
    cluster_save(&cluster, 1, 10, 2);
    cluster_disconnect(&cluster, 0);
    cluster_tick(&cluster, 10000);
    cluster_join(&cluster, 0, 1);
    assert_true(settled(&cluster, 0, 0));
    struct message m = cluster_report(1, 10, 0, 2, COPY_VERIFIED, true, 10);
    cluster_message(&cluster, 0, &m);
    assert_true(settled(&cluster, 0, weigh(10, 0, true, COPY_VERIFIED, true)));
    cluster_stop(&cluster);
}

/* Three heartbeats a lease are answered, while they are news; otherwise one. */
static void who_is_settled_is_answered_rarely(void **state)
{
    (void)state;
    struct cluster cluster;
    uint32_t answers = 0;
    start(&cluster, 1);
    for (int i = 0; i < 12; i++) {
        cluster_tick(&cluster, 1000);
        assert_false(settled(&cluster, 0, 1));
        assert_non_null(cluster_find(&cluster, 0, MESSAGE_LEASE));
    }
    for (int i = 0; i < 12; i++) {
        cluster_tick(&cluster, 1000);
        assert_true(settled(&cluster, 0, 0));
        answers += cluster_find(&cluster, 0, MESSAGE_LEASE) != NULL;
    }
    assert_int_equal(answers, 4);
    assert_false(settled(&cluster, 0, 1));
    assert_non_null(cluster_find(&cluster, 0, MESSAGE_LEASE)); /* news go at once */
    cluster_stop(&cluster);
}

/* An agent of before says none, and is told nothing new. */
static void without_an_inventory_nothing_is_settled(void **state)
{
    (void)state;
    struct cluster cluster;
    start(&cluster, 1);
    struct message m = {.type = MESSAGE_HEARTBEAT};
    cluster_message(&cluster, 0, &m);
    assert_false(cluster_find(&cluster, 0, MESSAGE_LEASE)->lease.settled);
    cluster_stop(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_says_whether_the_tables_are_the_memory),
        cmocka_unit_test(a_lost_word_of_retirement_unsettles),
        cmocka_unit_test(a_new_life_begins_with_nothing),
        cmocka_unit_test(who_is_settled_is_answered_rarely),
        cmocka_unit_test(without_an_inventory_nothing_is_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
