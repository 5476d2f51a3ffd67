/* SPDX-License-Identifier: Apache-2.0 */
/* What a shard needs next, as it is. */
#include "unit/coordinator/story.h"

CLUSTER_OF(3)

static void one_copy_is_ordered_when_its_rank_has_sealed(void **state)
{
    cluster_story(*state,
                  "> n0: sealed step 10 rank 0 of 1\n"
                  "< record ATTEMPT attempt 1\n"
                  "< n0: shard_ack 1000:run/1 step 10 rank 0 gen 10 SEALED keep 1 status 0\n"
                  "< n1: pull_order 1000:run/1 step 10 rank 0 order 2 purpose 0 from n0 gen 10\n");
}

static void a_copy_that_is_gone_is_made_again(void **state)
{
    cluster_save(*state, 1, 10, 1); /* on n0, whose rank it is, and n1 */
    cluster_alive(*state, 3, 0);    /* nothing else may still turn up */
    cluster_story(*state,
                  "> n1: gone step 10 rank 0 of 1\n"
                  "< n1: shard_ack 1000:run/1 step 10 rank 0 gen 10 NONE keep 1 status 0\n"
                  "< n1: pull_order 1000:run/1 step 10 rank 0 order 3 purpose 0 from n0 gen 10\n");
}

static void a_save_whose_only_copy_is_gone_is_given_up(void **state)
{
    cluster_story(*state,
                  "> n0: sealed step 10 rank 0 of 1\n"
                  "< record ATTEMPT attempt 1\n"
                  "< n0: shard_ack 1000:run/1 step 10 rank 0 gen 10 SEALED keep 1 status 0\n"
                  "< n1: pull_order 1000:run/1 step 10 rank 0 order 2 purpose 0 from n0 gen 10\n"
                  "> n0: gone step 10 rank 0 of 1\n"
                  "< n0: shard_ack 1000:run/1 step 10 rank 0 gen 10 NONE keep 1 status 0\n"
                  "< all: checkpoint_state 1000:run/1 step 10 state 5\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(one_copy_is_ordered_when_its_rank_has_sealed, cluster),
        MACHINE_TEST(a_copy_that_is_gone_is_made_again, cluster),
        MACHINE_TEST(a_save_whose_only_copy_is_gone_is_given_up, cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
