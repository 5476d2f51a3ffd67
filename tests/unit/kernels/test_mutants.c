/* SPDX-License-Identifier: Apache-2.0 */
/* Each barrier and each wait of the kernels is left out, one by one: the tests see it. Upward
 * and downward alone each miss some, so all orders are in use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "unit/kernels/device_key.h"

static const struct digest_engine *engine;

static int setup(void **state)
{
    (void)state;
    return digest_engine_select(NULL, &engine) == CKPT_OK ? 0 : -1;
}

static bool blake3_is_right(void)
{
    const uint64_t bytes = CKPT_CHUNK_BYTES;
    uint8_t *data = device_memory_take(bytes);
    uint8_t *cv = device_memory_take(KERNELS_CV_BYTES);
    uint8_t expected[KERNELS_CV_BYTES];
    bool right;

    device_memory_fill(data, bytes, 5);
    (void)kernels_blake3(data, bytes, 0, 2 * bytes, cv, NULL);
    (void)digest_chunk(engine, data, (size_t)bytes, 0, 2 * bytes, expected);
    right = cpu_run_fault() == NULL && memcmp(cv, expected, sizeof(expected)) == 0;
    device_memory_give(cv);
    device_memory_give(data);
    return right;
}

static bool fingerprint_is_right(void)
{
    const uint64_t bytes = CKPT_CHUNK_BYTES;
    uint8_t *data = device_memory_take(bytes);
    uint8_t *value = device_memory_take(KERNELS_VALUE_BYTES);
    uint8_t expected[FINGERPRINT_VALUE_BYTES];
    struct fingerprint_key key;
    struct kernels_key device_key;
    bool right;

    device_key_make(4, &key, &device_key);
    device_memory_fill(data, bytes, 5);
    (void)kernels_fingerprint(&device_key, data, bytes, value, NULL, NULL);
    (void)fingerprint_chunk(engine, &key, data, (size_t)bytes, expected);
    right = cpu_run_fault() == NULL && memcmp(value, expected, sizeof(expected)) == 0;
    device_memory_give(value);
    device_memory_give(data);
    return right;
}

/* A kernel by what its barriers are called. */
static const struct {
    const char *prefix;
    bool (*is_right)(void);
} kernels[] = {
    {"BLAKE3_", blake3_is_right},
    {"FINGERPRINT_", fingerprint_is_right},
};

static bool (*check_of(int barrier))(void)
{
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        if (strncmp(cpu_barrier_name(barrier), kernels[i].prefix, strlen(kernels[i].prefix)) == 0) {
            return kernels[i].is_right;
        }
    }
    return NULL;
}

static void whole__right_in_every_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        for (enum cpu_order order = CPU_UPWARD; order < CPU_ORDERS; order++) {
            cpu_run_set(order, 11, 0);
            assert_true(kernels[i].is_right());
        }
    }
}

static void barrier_left_out__seen(void **state)
{
    int missed = 0;

    (void)state;
    for (int barrier = 1; barrier <= cpu_barriers(); barrier++) {
        bool (*is_right)(void) = check_of(barrier);
        bool seen[CPU_ORDERS];
        bool any = false;

        assert_non_null(is_right);
        assert_true(cpu_barrier_passed(barrier) > 0); /* it is in the text */
        for (enum cpu_order order = CPU_UPWARD; order < CPU_ORDERS; order++) {
            cpu_run_set(order, 11, barrier);
            seen[order] = !is_right();
            any |= seen[order];
        }
        printf("%-28s %s upward, %s downward, %s shuffled\n", cpu_barrier_name(barrier),
               seen[CPU_UPWARD] ? "seen" : "survives", seen[CPU_DOWNWARD] ? "seen" : "survives",
               seen[CPU_SHUFFLED] ? "seen" : "survives");
        missed += any ? 0 : 1;
    }
    assert_int_equal(missed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole__right_in_every_order),
        cmocka_unit_test(barrier_left_out__seen),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
