/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels that go over tables of tensors, and the comparison of values, on the CPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/kernels/cpu_run.h"
#include "unit/kernels/device_memory.h"
#include "unit/kernels/tables.h"

#define SEEDS 40
#define PLACE_MIN 100 /* table_make() begins so much before */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Byte by byte, what the region has afterwards. */
static void gather_plainly(const struct table *table, uint64_t place, uint64_t bytes,
                           uint8_t *region)
{
    for (uint64_t i = 0; i < table->count; i++) {
        const struct kernels_tensor *tensor = &table->tensors[i];
        const uint8_t *data = (const uint8_t *)(uintptr_t)tensor->address;

        for (uint64_t at = 0; at < tensor->bytes; at++) {
            if (tensor->place + at >= place && tensor->place + at < place + bytes) {
                region[tensor->place + at - place] = data[at];
            }
        }
    }
}

/* A region at any address, of any length, with a guard on either side. */
static void gather_once(uint32_t seed)
{
    uint64_t bytes = seed % 5 == 0 ? 70000 + seed : 1 + seed * UINT64_C(977) % 40000;
    uint64_t place = PLACE_MIN + seed * UINT64_C(131), off = seed % 3 == 0 ? seed % 16 : 0;
    uint8_t *region = device_memory_take(bytes + off + 16);
    uint8_t *expected = device_memory_take(bytes + off + 16);
    struct table table;

    table_make(&table, place, bytes, seed, seed % 2 == 0);
    memset(region, 0xcc, bytes + off + 16);
    memset(expected, 0xcc, bytes + off + 16);
    gather_plainly(&table, place, bytes, expected + off);
    assert_int_equal(kernels_gather(table.tensors, table.count, place, bytes, region + off, NULL),
                     0);
    assert_null(cpu_run_fault());
    assert_memory_equal(region, expected, bytes + off + 16);

    /* And back: the region gets other bytes, and the tensors have them then, and nothing else. */
    uint8_t *before = device_memory_take(table.memory_bytes);

    memcpy(before, table.memory, table.memory_bytes);
    for (uint64_t i = 0; i < bytes; i++) {
        region[off + i] ^= (uint8_t)(1 + i % 255);
    }
    assert_int_equal(kernels_scatter(table.tensors, table.count, place, bytes, region + off, NULL),
                     0);
    assert_null(cpu_run_fault());
    for (uint64_t i = 0; i < table.count; i++) {
        const struct kernels_tensor *tensor = &table.tensors[i];
        uint64_t at = tensor->address - (uint64_t)(uintptr_t)table.memory;

        for (uint64_t b = 0; b < tensor->bytes; b++) {
            if (tensor->place + b >= place && tensor->place + b < place + bytes) {
                before[at + b] = region[off + tensor->place + b - place];
            }
        }
    }
    assert_memory_equal(table.memory, before, table.memory_bytes);
    device_memory_give(before);
    table_free(&table);
    device_memory_give(expected);
    device_memory_give(region);
}

static void gather__scatter_is_its_inverse(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        cpu_run_set(seed % CPU_ORDERS, seed, 0);
        gather_once(seed);
    }
}

/* One range, at each alignment of source and target and each length about a vector. */
static void gather__every_alignment(void **state)
{
    uint8_t *source = device_memory_take(256), *target = device_memory_take(256);
    struct kernels_tensor *tensor = (struct kernels_tensor *)device_memory_take(sizeof(*tensor));

    (void)state;
    cpu_run_set(CPU_UPWARD, 0, 0);
    for (uint64_t from = 0; from < 16; from++) {
        for (uint64_t to = 0; to < 16; to++) {
            for (uint64_t bytes = 1; bytes < 70; bytes += bytes < 36 ? 1 : 11) {
                /* The last byte of the source is the last of its memory. */
                uint8_t *own = device_memory_take(from + bytes);

                device_memory_fill(own, from + bytes, (uint32_t)(from * 16 + to));
                memset(target, 0xcc, 256);
                *tensor = (struct kernels_tensor){
                    .address = (uint64_t)(uintptr_t)(own + from), .place = 5, .bytes = bytes};
                assert_int_equal(kernels_gather(tensor, 1, 5, bytes, target + to, NULL), 0);
                assert_memory_equal(target + to, own + from, bytes);
                assert_int_equal(target[to + bytes], 0xcc);
                assert_true(to == 0 || target[to - 1] == 0xcc);
                device_memory_give(own);
            }
        }
    }
    device_memory_give((uint8_t *)tensor);
    device_memory_give(target);
    device_memory_give(source);
}

static void finite__as_counted_one_by_one(void **state)
{
    uint64_t nans = 0, infinities = 0;

    (void)state;
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t bytes = 5000 + seed * UINT64_C(1000), place = PLACE_MIN + seed % 3;
        struct table table;

        cpu_run_set(seed % CPU_ORDERS, seed, 0);
        table_make(&table, place, bytes, seed, seed % 4 == 0);
        assert_int_equal(
            kernels_finite(table.tensors, table.count, place, bytes, table.counts, NULL), 0);
        assert_null(cpu_run_fault());
        for (uint64_t i = 0; i < table.count; i++) {
            const struct kernels_tensor *tensor = &table.tensors[i];
            uint64_t begin = most(place, tensor->place) - tensor->place;
            uint64_t end = least(place + bytes - tensor->place, tensor->bytes);
            struct kernels_counts expected =
                table_count(tensor->dtype, (const uint8_t *)(uintptr_t)tensor->address, begin, end,
                            tensor->bytes);

            assert_int_equal(table.counts[i].nans, expected.nans);
            assert_int_equal(table.counts[i].infinities, expected.infinities);
            nans += expected.nans, infinities += expected.infinities;
        }
        table_free(&table);
    }
    printf("%llu NaNs, %llu infinities\n", (unsigned long long)nans,
           (unsigned long long)infinities);
    assert_true(nans > 5000 && infinities > 1000);
}

static void changed__as_compared(void **state)
{
    static const uint32_t value_bytes[] = {16, 32};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        for (uint64_t count = 0; count < 600; count = count * 3 / 2 + 1) {
            uint64_t words = (count + 31) / 32, bytes = count * value_bytes[k];
            uint8_t *now = device_memory_take(bytes), *before = device_memory_take(bytes);
            uint32_t *bits = (uint32_t *)device_memory_take(4 * (words + 1));

            cpu_run_set((enum cpu_order)(count % CPU_ORDERS), 1, 0);
            device_memory_fill(now, bytes, 3);
            memcpy(before, now, bytes);
            for (uint64_t i = 0; i < count; i += 1 + i % 7) {
                before[i * value_bytes[k] + i % value_bytes[k]] ^= (uint8_t)(1 << i % 8);
            }
            memset(bits, 0xcc, 4 * (words + 1));
            assert_int_equal(kernels_changed(now, before, value_bytes[k], count, bits, NULL), 0);
            for (uint64_t i = 0; i < words * 32; i++) {
                bool other = i < count && memcmp(now + i * value_bytes[k],
                                                 before + i * value_bytes[k], value_bytes[k]) != 0;

                assert_int_equal(bits[i / 32] >> i % 32 & 1, other);
            }
            assert_int_equal(bits[words], 0xcccccccc);
            assert_int_equal(kernels_changed(now, NULL, value_bytes[k], count, bits, NULL), 0);
            for (uint64_t i = 0; i < words * 32; i++) {
                assert_int_equal(bits[i / 32] >> i % 32 & 1, i < count);
            }
            assert_null(cpu_run_fault());
            device_memory_give((uint8_t *)bits);
            device_memory_give(before);
            device_memory_give(now);
        }
    }
}

static void arguments__refused(void **state)
{
    uint8_t *memory = device_memory_take(256);
    uint32_t *bits = (uint32_t *)(memory + 128);
    struct kernels_tensor none = {0};
    struct kernels_counts counts = {0, 0};
    const uint64_t huge = (UINT64_C(1) << 43) + 1;

    (void)state;
    assert_int_equal(kernels_changed(memory, memory, 24, 1, bits, NULL), KERNELS_ERR_ARGUMENT);
    assert_int_equal(kernels_changed(memory, memory, 0, 1, bits, NULL), KERNELS_ERR_ARGUMENT);
    assert_int_equal(kernels_changed(memory + 8, memory, 16, 1, bits, NULL), KERNELS_ERR_ARGUMENT);
    assert_int_equal(kernels_changed(memory, memory + 8, 16, 1, bits, NULL), KERNELS_ERR_ARGUMENT);
    assert_int_equal(kernels_gather(&none, 1, 0, huge, memory, NULL), KERNELS_ERR_ARGUMENT);
    assert_int_equal(kernels_scatter(&none, 1, UINT64_MAX, 1, memory, NULL), KERNELS_ERR_ARGUMENT);
    assert_int_equal(kernels_finite(&none, 1, UINT64_MAX, 1, &counts, NULL), KERNELS_ERR_ARGUMENT);
    assert_int_equal(kernels_gather(&none, 1, 0, 0, memory, NULL), 0);
    assert_int_equal(kernels_gather(NULL, 0, 0, 16, memory, NULL), 0);
    device_memory_give(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gather__scatter_is_its_inverse),
        cmocka_unit_test(gather__every_alignment),
        cmocka_unit_test(finite__as_counted_one_by_one),
        cmocka_unit_test(changed__as_compared),
        cmocka_unit_test(arguments__refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
