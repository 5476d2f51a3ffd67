/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel of BLAKE3, on the CPU, against the host's digest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "digest/digest.h"
#include "kernels/kernels.h"
#include "unit/kernels/cpu_run.h"
#include "unit/kernels/device_memory.h"

#define LENGTHS_MAX 512
#define LEAF 1024
#define THREAD (8 * LEAF)
#define WARP (32 * THREAD)

static const struct digest_engine *engine;

static int setup(void **state)
{
    (void)state;
    return digest_engine_select(NULL, &engine) == CKPT_OK ? 0 : -1;
}

/* The values of the shard's chunks from first_chunk on are the host's. */
static void values_are_the_hosts(uint64_t first_chunk, uint64_t bytes, uint64_t shard_bytes)
{
    uint64_t chunks = bytes == 0 ? 1 : (bytes - 1) / CKPT_CHUNK_BYTES + 1;
    uint8_t *data = device_memory_take(bytes);
    uint8_t *cvs = device_memory_take(chunks * KERNELS_CV_BYTES);

    device_memory_fill(data, bytes, (uint32_t)bytes);
    assert_int_equal(kernels_blake3(data, bytes, first_chunk, shard_bytes, cvs, NULL), 0);
    if (cpu_run_fault() != NULL) {
        fail_msg("%llu bytes: %s", (unsigned long long)bytes, cpu_run_fault());
    }
    for (uint64_t i = 0; i < chunks; i++) {
        uint64_t at = i * CKPT_CHUNK_BYTES;
        size_t taken = (size_t)digest_chunk_bytes(first_chunk + i, shard_bytes);
        uint8_t expected[DIGEST_CV_BYTES];

        assert_int_equal(
            digest_chunk(engine, data + at, taken, first_chunk + i, shard_bytes, expected),
            CKPT_OK);
        if (memcmp(cvs + i * sizeof(expected), expected, sizeof(expected)) != 0) {
            fail_msg("%llu bytes from chunk %llu: the value of chunk %llu differs",
                     (unsigned long long)bytes, (unsigned long long)first_chunk,
                     (unsigned long long)i);
        }
    }
    device_memory_give(cvs);
    device_memory_give(data);
}

static size_t around(uint64_t *lengths, size_t count, uint64_t middle)
{
    static const int64_t off[] = {-65, -64, -63, -17, -1, 0, 1, 15, 16, 17, 63, 64, 65};

    for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
        if ((int64_t)middle + off[i] >= 0) {
            lengths[count++] = (uint64_t)((int64_t)middle + off[i]);
        }
    }
    return count;
}

/* Below two threads' leaves every leaf, and the boundaries of threads, warps and chunks; every
 * length is in one of the orders, and all in the first. */
static void every_boundary(enum cpu_order order)
{
    uint64_t lengths[LENGTHS_MAX];
    size_t count = 0;

    for (uint64_t leaves = 0; leaves <= 9; leaves++) {
        count = around(lengths, count, leaves * LEAF);
    }
    for (uint64_t power = 2 * THREAD; power <= CKPT_CHUNK_BYTES; power *= 2) {
        count = around(lengths, count, power);
    }
    for (uint64_t threads = 3; threads <= 127; threads += 31) {
        count = around(lengths, count, threads * THREAD);
        lengths[count++] = threads * THREAD + 5 * LEAF + 100;
    }
    lengths[count++] = WARP + THREAD + 1;
    lengths[count++] = 3 * WARP - 1;
    assert_true(count <= LENGTHS_MAX);
    for (size_t i = order; i < count; i += order == CPU_UPWARD ? 1 : 3) {
        cpu_run_set(order, (uint32_t)i, 0);
        values_are_the_hosts(0, lengths[i], lengths[i]);
    }
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
    static const uint64_t shard_bytes[] = {
        2 * CKPT_CHUNK_BYTES - 1025, 2 * CKPT_CHUNK_BYTES - 1,    2 * CKPT_CHUNK_BYTES,
        2 * CKPT_CHUNK_BYTES + 1,    2 * CKPT_CHUNK_BYTES + 1025,
    };
    const uint64_t far = UINT64_C(1) << 24; /* the number of a leaf has more than 32 bits there */

    (void)state;
    for (enum cpu_order order = CPU_UPWARD; order < CPU_ORDERS; order++) {
        cpu_run_set(order, 7, 0);
        for (size_t i = 0; i < sizeof(shard_bytes) / sizeof(shard_bytes[0]); i++) {
            values_are_the_hosts(0, shard_bytes[i], shard_bytes[i]);
        }
        values_are_the_hosts(3, 2 * CKPT_CHUNK_BYTES, 6 * CKPT_CHUNK_BYTES);
        values_are_the_hosts(5, CKPT_CHUNK_BYTES, 6 * CKPT_CHUNK_BYTES);
        values_are_the_hosts(far, CKPT_CHUNK_BYTES + 100, (far + 1) * CKPT_CHUNK_BYTES + 100);
    }
}

/* The values lead to the digest that b3sum prints, which test_digest_b3sum holds the host to. */
static void values__fold_to_the_digest(void **state)
{
    const uint64_t bytes = 2 * CKPT_CHUNK_BYTES + 12345;
    uint8_t *data = device_memory_take(bytes);
    uint8_t *cvs = device_memory_take(3 * (uint64_t)KERNELS_CV_BYTES);
    struct digest folded, expected;

    (void)state;
    cpu_run_set(CPU_SHUFFLED, 3, 0);
    device_memory_fill(data, bytes, 1);
    assert_int_equal(kernels_blake3(data, bytes, 0, bytes, cvs, NULL), 0);
    assert_int_equal(digest_fold(cvs, 3, bytes, &folded), CKPT_OK);
    digest_bytes(engine, data, bytes, &expected);
    assert_true(digest_equal(&folded, &expected));
    device_memory_give(cvs);
    device_memory_give(data);
}

static void arguments__refused(void **state)
{
    uint8_t *data = device_memory_take(2 * CKPT_CHUNK_BYTES);
    uint8_t *cvs = device_memory_take(2 * (uint64_t)KERNELS_CV_BYTES);
    const uint64_t chunk = CKPT_CHUNK_BYTES;

    (void)state;
    cpu_run_set(CPU_UPWARD, 0, 0);
    memset(cvs, 0x11, 2 * (size_t)KERNELS_CV_BYTES);
    assert_int_equal(kernels_blake3(data + 8, chunk, 0, chunk, cvs, NULL), KERNELS_ERR_ARGUMENT);
    assert_int_equal(kernels_blake3(data, chunk, 0, chunk, cvs + 4, NULL), KERNELS_ERR_ARGUMENT);
    assert_int_equal(kernels_blake3(data, chunk, 1, chunk, cvs, NULL), KERNELS_ERR_ARGUMENT);
    assert_int_equal(kernels_blake3(data, 100, 0, chunk, cvs, NULL), KERNELS_ERR_ARGUMENT);
    assert_int_equal(kernels_blake3(data, chunk, 2, chunk, cvs, NULL), KERNELS_ERR_ARGUMENT);
    assert_int_equal(kernels_blake3(data, 2 * chunk, 0, chunk, cvs, NULL), KERNELS_ERR_ARGUMENT);
    assert_int_equal(kernels_blake3(data, chunk, UINT64_MAX / 2, chunk, cvs, NULL),
                     KERNELS_ERR_ARGUMENT);
    for (size_t i = 0; i < 2 * (size_t)KERNELS_CV_BYTES; i++) {
        assert_int_equal(cvs[i], 0x11);
    }
    assert_int_equal(kernels_version(), KERNELS_VERSION);
    assert_int_equal(kernels_ready(), 0);
    assert_string_equal(kernels_error_text(0), "no error");
    assert_non_null(strstr(kernels_error_text(KERNELS_ERR_ARGUMENT), "argument"));
    assert_non_null(strstr(kernels_error_text(35), "driver"));
    device_memory_give(cvs);
    device_memory_give(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boundaries__upward),         cmocka_unit_test(boundaries__downward),
        cmocka_unit_test(boundaries__shuffled),       cmocka_unit_test(chunks__at_their_place),
        cmocka_unit_test(values__fold_to_the_digest), cmocka_unit_test(arguments__refused),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
