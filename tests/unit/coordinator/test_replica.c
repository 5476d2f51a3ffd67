/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks that say that they hold the same state: what differs is never committed. */
#include <string.h>

#include "unit/coordinator/cluster.h"

#define WORLD 3

CLUSTER_OF(WORLD)

/* What a rank says with its seal. */
struct word {
    bool said;
    uint32_t leader;
    uint32_t part;
    uint64_t value;
};

static struct message report(uint64_t step, uint32_t rank, enum copy_state state, bool owner,
                             const struct word *word)
{
    struct message m = cluster_report(1, step, rank, WORLD, state, owner, (uint8_t)(step + rank));
    if (owner) {
        m.shard_report.replica_said = word->said;
        m.shard_report.replica_leader = word->leader;
        m.shard_report.replica_part = word->part;
        m.shard_report.replica_value = word->value;
    }
    return m;
}

/* Every rank saves the step, and whoever is ordered to copies it. */
static void save(uint64_t step, const struct word words[WORLD])
{
    for (uint32_t rank = 0; rank < WORLD; rank++) {
        struct message m = report(step, rank, COPY_SEALED, true, &words[rank]);
        cluster_message(&cluster, rank, &m);
        uint32_t holder = COORDINATOR_LINK_ALL;
        uint64_t order = 0;
        for (uint32_t i = 0; i < cluster.update.message_count; i++) {
            const struct coordinator_outgoing *out = &cluster.update.messages[i];
            if (out->message.type == MESSAGE_PULL_ORDER) {
                holder = out->link;
                order = out->message.pull_order.order;
            }
        }
        assert_true(holder != COORDINATOR_LINK_ALL);
        m = report(step, rank, COPY_VERIFIED, true, &words[rank]);
        cluster_message(&cluster, rank, &m);
        m = report(step, rank, COPY_VERIFIED, false, &words[rank]);
        m.shard_report.order = order;
        cluster_message(&cluster, holder, &m);
    }
}

static void check(uint64_t step, enum checkpoint_state state, const char *reason)
{
    struct coordinator_checkpoint_view k = cluster_checkpoint(&cluster, step);
    assert_int_equal(k.state, state);
    if (reason != NULL && strstr(k.reason, reason) == NULL) {
        fail_msg("step %llu: \"%s\" does not say \"%s\"", (unsigned long long)step, k.reason,
                 reason);
    }
}

static void ranks_that_agree_commit(void **state)
{
    (void)state;
    const struct word words[WORLD] = {{true, 0, 3, 77}, {true, 0, 3, 77}, {true, 0, 3, 77}};
    save(10, words);
    check(10, CHECKPOINT_CONSISTENT, NULL);
}

static void a_rank_that_differs_is_named_and_nothing_is_committed(void **state)
{
    (void)state;
    const struct word words[WORLD] = {{true, 0, 3, 77}, {true, 0, 3, 77}, {true, 0, 3, 78}};
    save(10, words);
    check(10, CHECKPOINT_ABORTED, "ranks 0 and 2 have diverged: part 3");
    assert_int_equal(cluster_records(&cluster, RECORD_CONSISTENT), 0);
    const struct message *told = cluster_find(&cluster, 0, MESSAGE_CHECKPOINT_STATE);
    assert_non_null(told);
    assert_int_equal(told->checkpoint_state.status, CKPT_ERR_DIVERGED);
}

static void after_that_shares_are_refused_and_whole_states_are_taken(void **state)
{
    (void)state;
    const struct word differ[WORLD] = {{true, 0, 3, 77}, {true, 0, 3, 78}, {true, 0, 3, 77}};
    const struct word agree[WORLD] = {{true, 0, 4, 5}, {true, 0, 4, 5}, {true, 0, 4, 5}};
    const struct word nothing[WORLD] = {{false, 0, 0, 0}};
    save(10, differ);
    save(11, agree);
    check(11, CHECKPOINT_ABORTED, "diverged at step 10");
    save(12, nothing);
    check(12, CHECKPOINT_CONSISTENT, NULL);
    /* Also when one rank had not heard of it yet. */
    const struct word mixed[WORLD] = {{false, 0, 0, 0}, {true, 0, 6, 5}, {false, 0, 0, 0}};
    save(13, mixed);
    check(13, CHECKPOINT_ABORTED, "diverged at step 10");
}

static void what_was_not_said_is_no_difference(void **state)
{
    (void)state;
    const struct word words[WORLD] = {{false, 0, 0, 0}, {true, 0, 3, 77}, {true, 0, 3, 77}};
    save(10, words);
    check(10, CHECKPOINT_CONSISTENT, NULL);
    const struct word parts[WORLD] = {{true, 0, 1, 1}, {true, 0, 2, 2}, {true, 0, 1, 1}};
    save(11, parts);
    check(11, CHECKPOINT_CONSISTENT, NULL);
}

/* Two groups: ranks 0 and 1 hold one half of a sharded state, rank 2 another. */
static void groups_have_leaders_of_their_own(void **state)
{
    (void)state;
    const struct word words[WORLD] = {{true, 0, 3, 77}, {true, 0, 3, 77}, {true, 2, 3, 78}};
    save(10, words);
    check(10, CHECKPOINT_CONSISTENT, NULL);
}

static void a_leader_that_no_world_has_changes_nothing(void **state)
{
    (void)state;
    const struct word words[WORLD] = {{true, 0, 3, 77}, {true, 9, 3, 78}, {true, 65536, 3, 79}};
    save(10, words);
    check(10, CHECKPOINT_CONSISTENT, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(ranks_that_agree_commit, cluster),
        MACHINE_TEST(a_rank_that_differs_is_named_and_nothing_is_committed, cluster),
        MACHINE_TEST(after_that_shares_are_refused_and_whole_states_are_taken, cluster),
        MACHINE_TEST(what_was_not_said_is_no_difference, cluster),
        MACHINE_TEST(groups_have_leaders_of_their_own, cluster),
        MACHINE_TEST(a_leader_that_no_world_has_changes_nothing, cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
