/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of real processes over a NCCL that is none (tests/fake_gpu): the bytes, and its faults. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fanout/nccl_library.h"
#include "fanout/plan.h"
#include "unit/fanout/trial.h"

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

static char own_name[sizeof("ckpt_fake_nccl.") + 20]; /* other runs of the test have theirs */

static void nothing_is_left(void)
{
    DIR *folder = opendir("/dev/shm");
    struct dirent *entry;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        assert_null(strstr(entry->d_name, own_name));
    }
    closedir(folder);
}

/* All but `dead` have the right bytes, the receivers of `way`, in time. */
static void run(const struct trial *trial, uint32_t dead, uint32_t way, uint32_t within_ms,
                struct trial_result *result)
{
    trial_run(trial, result);
    for (uint32_t i = 0; i < trial->ranks; i++) {
        const struct trial_rank *rank = &result->ranks[i];
        bool good = i == dead || (rank->has_ended && rank->status == CKPT_OK && rank->is_right &&
                                  rank->fetch_ms < within_ms &&
                                  (way == 0 || i < trial->senders || rank->way == way));
        if (!good) {
            tell(trial, result);
        }
        assert_true(good);
    }
    nothing_is_left();
}

static void every_shape_brings_the_bytes(void **state)
{
    static const uint32_t groups[][2] = {{2, 1}, {4, 1}, {4, 3}, {8, 2}};
    (void)state;
    for (uint32_t shape = FANOUT_CHAIN; shape <= FANOUT_STAR; shape++) {
        for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
            struct trial_result result;
            struct trial trial = {
                .ranks = groups[i][0],
                .senders = groups[i][1],
                .road = i % 2 == 0 ? CKPT_FANOUT_NCCL : CKPT_FANOUT_AUTO,
                .shape = shape,
                .digest_kind = i % 2 == 0 ? CKPT_DIGEST_BLAKE3 : CKPT_DIGEST_FINGERPRINT,
                .bytes = 9 * CKPT_MIB + 4711,
                .stall_ms = 5000,
                .fetches = 2,
            };
            run(&trial, TRIAL_NOBODY, CKPT_FANOUT_FROM_GROUP, 15000, &result);
            for (uint32_t rank = 0; rank < trial.ranks; rank++) {
                assert_int_equal(result.ranks[rank].source_calls, rank < trial.senders ? 2 : 0);
            }
        }
    }
}

static const struct trial faulty = {.ranks = 4,
                                    .senders = 2,
                                    .road = CKPT_FANOUT_NCCL,
                                    .digest_kind = CKPT_DIGEST_FINGERPRINT,
                                    .bytes = 9 * CKPT_MIB + 4711,
                                    .timeout_ms = 10000};

/* A leader and a receiver; and a sender that is not the leader, where one dies. */
static void with_each(const char *environment, bool dies, uint32_t shape, uint32_t within_ms,
                      const char *says)
{
    static const uint32_t who[] = {0, 3, 1};
    for (size_t i = 0; i < (dies ? 3 : 2); i++) {
        struct trial_result result;
        struct trial trial = faulty;
        trial.shape = shape;
        trial.who = who[i];
        trial.environment = environment;
        run(&trial, dies ? who[i] : TRIAL_NOBODY, CKPT_FANOUT_FROM_AGENT, within_ms, &result);
        for (uint32_t rank = 0; rank < trial.ranks; rank++) {
            bool is_said = strstr(result.ranks[rank].reason, says) != NULL;
            if (!is_said && !(dies && rank == who[i])) {
                tell(&trial, &result);
            }
            assert_true(is_said || (dies && rank == who[i]));
        }
    }
}

static void a_rank_that_dies_is_met(void **state)
{
    (void)state;
    with_each("FAKE_NCCL=dies=3", true, FANOUT_CHAIN, 5000, "");
    with_each("FAKE_NCCL=dies_still=3", true, FANOUT_RELAY, 5000, "went away");
}

static void a_rank_that_hangs_is_met_by_the_clock(void **state)
{
    (void)state;
    with_each("FAKE_NCCL=hangs=3", false, FANOUT_CHAIN, 5000, "for 1000 ms");
    with_each("FAKE_NCCL=hangs=6", false, FANOUT_RELAY, 5000, "for 1000 ms");
}

static void an_error_ends_the_group(void **state)
{
    (void)state;
    with_each("FAKE_NCCL=remote=2", false, FANOUT_CHAIN, 5000, "a fake remote error");
}

static void a_copy_that_never_ends_is_met_by_the_clock(void **state)
{
    (void)state;
    with_each("FAKE_GPU=hang=2", false, FANOUT_CHAIN, 8000, "for 1000 ms");
}

static void a_bit_that_flips_is_seen(void **state)
{
    /* In the GPU's memory, on the way out of it, and at a sender on the way into it. */
    static const struct {
        const char *environment;
        uint32_t who;
    } cases[] = {{"FAKE_NCCL=flips=3", 3}, {"FAKE_GPU=flip=2", 3}, {"FAKE_GPU=flip_in=2", 1}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct trial_result result;
        struct trial trial = faulty;
        trial.who = cases[i].who;
        trial.environment = cases[i].environment;
        trial.digest_kind = i == 1 ? CKPT_DIGEST_BLAKE3 : CKPT_DIGEST_FINGERPRINT;
        run(&trial, TRIAL_NOBODY, 0, 3000, &result);
        uint32_t other = cases[i].who == 3 ? CKPT_FANOUT_FROM_GROUP : CKPT_FANOUT_FROM_AGENT;
        assert_int_equal(result.ranks[2].way, other);
        assert_int_equal(result.ranks[3].way, CKPT_FANOUT_FROM_AGENT);
        assert_non_null(strstr(result.ranks[3].reason, "came wrong over NCCL"));
    }
}

static void a_beginning_that_never_ends_is_met_by_the_clock(void **state)
{
    (void)state;
    for (uint32_t who = 0; who < 4; who += 3) {
        struct trial_result result;
        struct trial trial = faulty;
        trial.who = who;
        trial.environment = "FAKE_NCCL=init_hangs";
        trial.timeout_ms = 1500;
        run(&trial, TRIAL_NOBODY, CKPT_FANOUT_FROM_AGENT, 2000, &result);
        for (uint32_t rank = 0; rank < trial.ranks; rank++) {
            assert_int_equal(result.ranks[rank].joined, CKPT_ERR_TIMEOUT);
            assert_true(result.ranks[rank].join_ms < 2000);
        }
        trial.environment = "FAKE_NCCL=init_fails";
        run(&trial, TRIAL_NOBODY, CKPT_FANOUT_FROM_AGENT, 2000, &result);
        assert_int_equal(result.ranks[2].joined, CKPT_ERR_LINK);
    }
}

/* One rank without is enough: NCCL is refused, and who leaves it open goes by sockets. */
static void where_a_rank_has_none(void **state)
{
    static const char *const without[] = {"FAKE_NCCL=version=22604", "FAKE_GPU=no_device"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct trial_result result;
        struct trial trial = faulty;
        trial.who = i == 0 ? 0 : 3;
        trial.environment = without[i];
        run(&trial, TRIAL_NOBODY, CKPT_FANOUT_FROM_AGENT, 3000, &result);
        assert_int_equal(result.ranks[1].joined, CKPT_ERR_UNSUPPORTED);
        assert_non_null(strstr(result.ranks[1].reason, "3 of 4 ranks have NCCL"));
        trial.road = CKPT_FANOUT_AUTO;
        run(&trial, TRIAL_NOBODY, CKPT_FANOUT_FROM_GROUP, 3000, &result);
        assert_int_equal(result.ranks[1].joined, CKPT_OK);
    }
}

static void no_memory_of_the_gpu_ends_the_group(void **state)
{
    (void)state;
    with_each("FAKE_GPU=no_memory", false, FANOUT_CHAIN, 5000, "memory for two rounds");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_brings_the_bytes),
        cmocka_unit_test(a_rank_that_dies_is_met),
        cmocka_unit_test(a_rank_that_hangs_is_met_by_the_clock),
        cmocka_unit_test(an_error_ends_the_group),
        cmocka_unit_test(a_copy_that_never_ends_is_met_by_the_clock),
        cmocka_unit_test(a_bit_that_flips_is_seen),
        cmocka_unit_test(a_beginning_that_never_ends_is_met_by_the_clock),
        cmocka_unit_test(where_a_rank_has_none),
        cmocka_unit_test(no_memory_of_the_gpu_ends_the_group),
    };
    snprintf(own_name, sizeof(own_name), "ckpt_fake_nccl.%d.", (int)getpid());
    setenv("FAKE_NCCL_NAME", own_name + strlen("ckpt_fake_nccl"), 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
