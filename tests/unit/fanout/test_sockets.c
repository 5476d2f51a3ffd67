/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of real processes over TCP: the bytes, and whatever may happen to a rank. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fanout/plan.h"
#include "unit/fanout/trial.h"

/* A transfer that takes long enough for something to happen in it: about a second. */
#define SLOW_BYTES (12 * CKPT_MIB)
#define SLOW_PACE (6 * CKPT_MIB)

static void tell(const struct trial *trial, const struct trial_result *result)
{
    for (uint32_t i = 0; i < trial->ranks; i++) {
        const struct trial_rank *rank = &result->ranks[i];
        print_message("  rank %u: ended %d, joined %d in %llu ms, status %d, way %u, right %d, "
                      "asked %u, %llu ms: %s\n",
                      i, rank->has_ended, rank->joined, (unsigned long long)rank->join_ms,
                      rank->status, rank->way, rank->is_right, rank->source_calls,
                      (unsigned long long)rank->fetch_ms, rank->reason);
    }
}

/* Every rank but `odd` has the right bytes; those that are not senders from the group or not. */
static void all_well(const struct trial *trial, const struct trial_result *result, uint32_t odd,
                     uint32_t way)
{
    for (uint32_t i = 0; i < trial->ranks; i++) {
        const struct trial_rank *rank = &result->ranks[i];
        if (i == odd) {
            continue;
        }
        if (!rank->has_ended || rank->status != CKPT_OK || !rank->is_right ||
            (i >= trial->senders && rank->way != way)) {
            tell(trial, result);
        }
        assert_true(rank->has_ended);
        assert_int_equal(rank->status, CKPT_OK);
        assert_true(rank->is_right);
        assert_int_equal(rank->way, i < trial->senders ? CKPT_FANOUT_FROM_AGENT : way);
    }
}

static void every_shape_brings_the_bytes(void **state)
{
    static const uint32_t groups[][2] = {{1, 1}, {2, 1}, {2, 2}, {4, 1}, {4, 3}, {8, 1}, {8, 2}};
    (void)state;
    for (uint32_t shape = FANOUT_CHAIN; shape <= FANOUT_STAR; shape++) {
        for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
            struct trial_result result;
            struct trial trial = {
                .ranks = groups[i][0],
                .senders = groups[i][1],
                .road = CKPT_FANOUT_SOCKETS,
                .shape = shape,
                .digest_kind = i % 2 == 0 ? CKPT_DIGEST_BLAKE3 : CKPT_DIGEST_FINGERPRINT,
                .piece_bytes = i % 3 == 0 ? 2 * CKPT_MIB : CKPT_MIB,
                .fetches = 2,
            };
            trial_run(&trial, &result);
            all_well(&trial, &result, TRIAL_NOBODY, CKPT_FANOUT_FROM_GROUP);
            for (uint32_t rank = 0; rank < trial.ranks; rank++) { /* nobody else is asked */
                assert_int_equal(result.ranks[rank].source_calls, rank < trial.senders ? 2 : 0);
                assert_string_equal(result.ranks[rank].reason, "");
            }
        }
    }
}

static void every_length_is_brought(void **state)
{
    static const uint64_t lengths[] = {105,          CKPT_MIB - 1, CKPT_MIB,
                                       CKPT_MIB + 1, 2 * CKPT_MIB, 7 * CKPT_MIB - 1};
    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct trial_result result;
        struct trial trial = {.ranks = 3,
                              .senders = 1,
                              .road = CKPT_FANOUT_AUTO,
                              .shape = FANOUT_RELAY,
                              .digest_kind = CKPT_DIGEST_BLAKE3,
                              .bytes = lengths[i],
                              .piece_bytes = 2 * CKPT_MIB};
        trial_run(&trial, &result);
        all_well(&trial, &result, TRIAL_NOBODY, CKPT_FANOUT_FROM_GROUP);
    }
}

/* Of a group of four with two senders, who has the fault: a leader, a sender, a receiver. */
static void with_each(enum trial_fault fault, uint32_t way, uint32_t within_ms)
{
    static const uint32_t who[] = {0, 1, 3};
    for (size_t i = 0; i < sizeof(who) / sizeof(who[0]); i++) {
        struct trial_result result;
        struct trial trial = {.ranks = 4,
                              .senders = 2,
                              .road = CKPT_FANOUT_SOCKETS,
                              .shape = i == 1 ? FANOUT_RELAY : FANOUT_CHAIN,
                              .digest_kind = CKPT_DIGEST_FINGERPRINT,
                              .bytes = SLOW_BYTES,
                              .pace_bytes_s = SLOW_PACE,
                              .timeout_ms = 8000,
                              .who = who[i],
                              .fault = fault,
                              .after_ms = 150};
        trial_run(&trial, &result);
        all_well(&trial, &result, who[i], way);
        for (uint32_t rank = 0; rank < trial.ranks; rank++) {
            if (rank != who[i]) {
                assert_true(result.ranks[rank].fetch_ms < within_ms);
                assert_string_not_equal(result.ranks[rank].reason, "");
            }
        }
    }
}

static void a_rank_that_dies_is_met_at_once(void **state)
{
    (void)state;
    with_each(TRIAL_DIES, CKPT_FANOUT_FROM_AGENT, 2500);
}

/* Which no connection tells: only that nothing comes. The verdict waits for it as long again, and
 * where it is the leader that stopped, twice. */
static void a_rank_that_stops_is_met_by_the_clock(void **state)
{
    (void)state;
    with_each(TRIAL_STOPS, CKPT_FANOUT_FROM_AGENT, 8000);
}

static void a_rank_that_never_fetches_costs_half_of_the_time(void **state)
{
    struct trial_result result;
    struct trial trial = {.ranks = 4,
                          .senders = 1,
                          .road = CKPT_FANOUT_SOCKETS,
                          .digest_kind = CKPT_DIGEST_BLAKE3,
                          .timeout_ms = 2000,
                          .who = 2,
                          .fault = TRIAL_NEVER_FETCHES};
    (void)state;
    trial_run(&trial, &result);
    all_well(&trial, &result, 2, CKPT_FANOUT_FROM_AGENT);
    for (uint32_t rank = 0; rank < 4; rank++) {
        assert_true(rank == 2 || result.ranks[rank].fetch_ms < 2500);
    }
}

static void a_rank_that_never_joins_ends_the_group(void **state)
{
    (void)state;
    for (uint32_t who = 1; who < 3; who++) {
        struct trial_result result;
        struct trial trial = {.ranks = 4,
                              .senders = 1,
                              .road = CKPT_FANOUT_SOCKETS,
                              .digest_kind = CKPT_DIGEST_BLAKE3,
                              .timeout_ms = 1000,
                              .who = who,
                              .fault = TRIAL_NEVER_JOINS};
        trial_run(&trial, &result);
        all_well(&trial, &result, who, CKPT_FANOUT_FROM_AGENT);
        for (uint32_t rank = 0; rank < 4; rank++) {
            if (rank != who) {
                assert_int_equal(result.ranks[rank].joined, CKPT_ERR_TIMEOUT);
                assert_true(result.ranks[rank].join_ms < 1500);
                assert_true(result.ranks[rank].fetch_ms < 1500);
            }
        }
    }
}

static void a_bit_that_flips_is_seen_by_whom_it_concerns(void **state)
{
    (void)state;
    for (uint32_t kind = CKPT_DIGEST_BLAKE3; kind <= CKPT_DIGEST_FINGERPRINT; kind++) {
        struct trial_result result;
        struct trial trial = {.ranks = 4,
                              .senders = 1,
                              .road = CKPT_FANOUT_SOCKETS,
                              .shape = FANOUT_STAR, /* nobody is fed by it */
                              .digest_kind = kind,
                              .who = 2,
                              .fault = TRIAL_FLIPS};
        trial_run(&trial, &result);
        all_well(&trial, &result, 2, CKPT_FANOUT_FROM_GROUP);
        assert_int_equal(result.ranks[2].status, CKPT_OK);
        assert_true(result.ranks[2].is_right);
        assert_int_equal(result.ranks[2].way, CKPT_FANOUT_FROM_AGENT);
        assert_non_null(strstr(result.ranks[2].reason, "1 pieces came wrong"));
    }
}

static void a_sender_that_has_it_not_receives_it(void **state)
{
    struct trial_result result;
    struct trial trial = {.ranks = 4,
                          .senders = 2,
                          .road = CKPT_FANOUT_SOCKETS,
                          .digest_kind = CKPT_DIGEST_BLAKE3,
                          .who = 1,
                          .fault = TRIAL_NO_SHARD};
    (void)state;
    trial_run(&trial, &result);
    all_well(&trial, &result, 1, CKPT_FANOUT_FROM_GROUP);
    assert_int_equal(result.ranks[1].status, CKPT_OK);
    assert_int_equal(result.ranks[1].way, CKPT_FANOUT_FROM_GROUP);
    trial.fault = TRIAL_OTHER_SHARD;
    trial_run(&trial, &result);
    all_well(&trial, &result, 1, CKPT_FANOUT_FROM_GROUP);
    assert_int_equal(result.ranks[1].way, CKPT_FANOUT_FROM_GROUP);
    assert_true(result.ranks[1].is_right);
}

static void without_a_sender_each_asks_its_own(void **state)
{
    struct trial_result result;
    struct trial trial = {.ranks = 3,
                          .senders = 1,
                          .road = CKPT_FANOUT_SOCKETS,
                          .digest_kind = CKPT_DIGEST_BLAKE3,
                          .who = 0,
                          .fault = TRIAL_NO_SHARD_ONCE};
    (void)state;
    trial_run(&trial, &result);
    all_well(&trial, &result, TRIAL_NOBODY, CKPT_FANOUT_FROM_AGENT);
}

static void who_cannot_have_it_says_so_for_all(void **state)
{
    struct trial_result result;
    struct trial trial = {.ranks = 3,
                          .senders = 1,
                          .road = CKPT_FANOUT_SOCKETS,
                          .digest_kind = CKPT_DIGEST_BLAKE3,
                          .who = 0,
                          .fault = TRIAL_NO_SHARD};
    (void)state;
    trial_run(&trial, &result);
    for (uint32_t rank = 0; rank < 3; rank++) {
        assert_int_equal(result.ranks[rank].status, CKPT_ERR_LOST);
        assert_non_null(strstr(result.ranks[rank].reason, "the source has none"));
    }
}

static void another_step_is_no_step(void **state)
{
    struct trial_result result;
    struct trial trial = {.ranks = 3,
                          .senders = 1,
                          .road = CKPT_FANOUT_SOCKETS,
                          .digest_kind = CKPT_DIGEST_BLAKE3,
                          .who = 2,
                          .fault = TRIAL_OTHER_STEP};
    (void)state;
    trial_run(&trial, &result);
    for (uint32_t rank = 0; rank < 3; rank++) {
        assert_int_equal(result.ranks[rank].status, CKPT_ERR_STEP);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_brings_the_bytes),
        cmocka_unit_test(every_length_is_brought),
        cmocka_unit_test(a_rank_that_dies_is_met_at_once),
        cmocka_unit_test(a_rank_that_stops_is_met_by_the_clock),
        cmocka_unit_test(a_rank_that_never_fetches_costs_half_of_the_time),
        cmocka_unit_test(a_rank_that_never_joins_ends_the_group),
        cmocka_unit_test(a_bit_that_flips_is_seen_by_whom_it_concerns),
        cmocka_unit_test(a_sender_that_has_it_not_receives_it),
        cmocka_unit_test(without_a_sender_each_asks_its_own),
        cmocka_unit_test(who_cannot_have_it_says_so_for_all),
        cmocka_unit_test(another_step_is_no_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
