/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel of fingerprints, on the CPU, against the host's values; and what it counts on the way
 * against a count of one element after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "unit/kernels/device_key.h"
#include "unit/kernels/tables.h"

#define MESSAGE 1024
#define LENGTHS_MAX 512

static const struct digest_engine *engine;
static struct fingerprint_key key;
static struct kernels_key device_key;

static int setup(void **state)
{
    (void)state;
    device_key_make(9, &key, &device_key);
    return digest_engine_select(NULL, &engine) == CKPT_OK ? 0 : -1;
}

static void values_are_the_hosts(uint8_t *data, uint64_t bytes)
{
    uint64_t chunks = digest_chunk_count(bytes);
    uint8_t *values = device_memory_take(chunks * KERNELS_VALUE_BYTES);

    assert_int_equal(kernels_fingerprint(&device_key, data, bytes, values, NULL, NULL), 0);
    if (cpu_run_fault() != NULL) {
        fail_msg("%llu bytes: %s", (unsigned long long)bytes, cpu_run_fault());
    }
    for (uint64_t i = 0; i < chunks; i++) {
        uint8_t expected[FINGERPRINT_VALUE_BYTES];

        assert_int_equal(fingerprint_chunk(engine, &key, data + i * CKPT_CHUNK_BYTES,
                                           (size_t)digest_chunk_bytes(i, bytes), expected),
                         CKPT_OK);
        if (memcmp(values + i * sizeof(expected), expected, sizeof(expected)) != 0) {
            fail_msg("%llu bytes: the value of chunk %llu differs", (unsigned long long)bytes,
                     (unsigned long long)i);
        }
    }
    device_memory_give(values);
}

static void value_of_random(uint64_t bytes)
{
    uint8_t *data = device_memory_take(bytes);

    device_memory_fill(data, bytes, (uint32_t)bytes);
    values_are_the_hosts(data, bytes);
    device_memory_give(data);
}

static void every_boundary(enum cpu_order order)
{
    static const int off[] = {-513, -17, -16, -15, -1, 0, 1, 15, 16, 17, 511, 512, 513};
    uint64_t lengths[LENGTHS_MAX];
    size_t count = 0;

    for (int64_t messages = 0; messages <= 1024;
         messages = messages < 3 ? messages + 1 : messages * 4 / 3) {
        for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
            if (messages * MESSAGE + off[i] >= 0) {
                lengths[count++] = (uint64_t)(messages * MESSAGE + off[i]);
            }
        }
    }
    assert_true(count <= LENGTHS_MAX);
    for (size_t i = order; i < count; i += order == CPU_UPWARD && i < 100 ? 1 : 7) {
        cpu_run_set(order, (uint32_t)i, 0);
        value_of_random(lengths[i]);
    }
    value_of_random(CKPT_CHUNK_BYTES);
    printf("%zu lengths\n", count);
}

static void boundaries__upward(void **state)
{
    (void)state;
    every_boundary(CPU_UPWARD);
}

static void boundaries__downward(void **state)
{
    (void)state;
    every_boundary(CPU_DOWNWARD);
}

static void boundaries__shuffled(void **state)
{
    (void)state;
    every_boundary(CPU_SHUFFLED);
}

static void chunks__at_their_place(void **state)
{
    (void)state;
    cpu_run_set(CPU_SHUFFLED, 2, 0);
    value_of_random(2 * CKPT_CHUNK_BYTES);
    value_of_random(2 * CKPT_CHUNK_BYTES + 1);
}

/* Where carries go furthest. */
static void bytes_alike__as_the_host(void **state)
{
    static const uint8_t patterns[] = {0, 0xff, 0x80, 0x01};
    uint8_t *data = device_memory_take(CKPT_CHUNK_BYTES);

    (void)state;
    cpu_run_set(CPU_UPWARD, 0, 0);
    for (size_t i = 0; i < sizeof(patterns); i++) {
        memset(data, patterns[i], CKPT_CHUNK_BYTES);
        values_are_the_hosts(data, CKPT_CHUNK_BYTES);
    }
    device_memory_give(data);
}

/* The region has what the tensors have; an element that is in it in part is not counted. */
static void scan_once(uint32_t seed, uint64_t bytes)
{
    const uint64_t place = 1000 + (seed % 2 == 0 ? seed : 0);
    uint8_t *data = device_memory_take(bytes);
    uint8_t *values = device_memory_take(2 * (uint64_t)KERNELS_VALUE_BYTES);
    uint8_t *plain = device_memory_take(2 * (uint64_t)KERNELS_VALUE_BYTES);
    struct table table;
    struct kernels_scan scan;

    table_make(&table, place, bytes, seed, seed % 3 == 0);
    memset(data, 0xff, bytes); /* what is in no tensor is not counted */
    assert_int_equal(kernels_gather(table.tensors, table.count, place, bytes, data, NULL), 0);
    scan = (struct kernels_scan){table.tensors, table.count, place, table.counts};
    assert_int_equal(kernels_fingerprint(&device_key, data, bytes, values, &scan, NULL), 0);
    assert_int_equal(kernels_fingerprint(&device_key, data, bytes, plain, NULL, NULL), 0);
    assert_null(cpu_run_fault());
    assert_memory_equal(values, plain, digest_chunk_count(bytes) * KERNELS_VALUE_BYTES);
    for (uint64_t i = 0; i < table.count; i++) {
        const struct kernels_tensor *tensor = &table.tensors[i];
        uint64_t begin = place > tensor->place ? place - tensor->place : 0;
        uint64_t end = place + bytes - tensor->place;
        struct kernels_counts expected;

        end = end < tensor->bytes ? end : tensor->bytes;
        expected = table_count(tensor->dtype, (const uint8_t *)(uintptr_t)tensor->address, begin,
                               end, end);
        assert_int_equal(table.counts[i].nans, expected.nans);
        assert_int_equal(table.counts[i].infinities, expected.infinities);
    }
    table_free(&table);
    device_memory_give(plain);
    device_memory_give(values);
    device_memory_give(data);
}

static void scan__counts_and_the_values_stay(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 24; seed++) {
        cpu_run_set(seed % CPU_ORDERS, seed, 0);
        scan_once(seed, seed % 8 == 0 ? CKPT_CHUNK_BYTES + 5000 + seed : seed * UINT64_C(3001));
    }
    scan_once(25, CKPT_CHUNK_BYTES);
}

static void arguments__refused(void **state)
{
    uint8_t *data = device_memory_take(64);

    (void)state;
    assert_int_equal(kernels_fingerprint(&device_key, data + 1, 8, data + 32, NULL, NULL),
                     KERNELS_ERR_ARGUMENT);
    assert_int_equal(kernels_fingerprint(&device_key, data, 8, data + 40, NULL, NULL),
                     KERNELS_ERR_ARGUMENT);
    device_memory_give(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boundaries__upward),
        cmocka_unit_test(boundaries__downward),
        cmocka_unit_test(boundaries__shuffled),
        cmocka_unit_test(chunks__at_their_place),
        cmocka_unit_test(bytes_alike__as_the_host),
        cmocka_unit_test(scan__counts_and_the_values_stay),
        cmocka_unit_test(arguments__refused),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
