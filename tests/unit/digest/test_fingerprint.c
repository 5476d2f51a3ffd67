/* SPDX-License-Identifier: Apache-2.0 */
/* Fingerprints: every engine against the scalar one, and that nothing which may happen to bytes on
 * their way leaves the value as it was. fingerprint.py holds them against their definition. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/prng.h"
#include "digest/fingerprint.h"
#include "unit/digest/engines.h"

#define CORRUPTIONS 1000000
#define TAIL_BYTES 4096 /* of the last chunk, where most of the corruptions are */
#define SHARD_CHUNKS 3
#define SHARD_BYTES ((SHARD_CHUNKS - 1) * CKPT_CHUNK_BYTES + TAIL_BYTES)

static struct prng prng;
static struct fingerprint_key key;
static const struct digest_engine *widest;

static void fill(uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)prng_below(&prng, 256);
    }
}

static int setup(void **state)
{
    uint8_t secret[FINGERPRINT_SECRET_BYTES];
    const char *seed = getenv("CKPT_TEST_SEED");
    uint64_t number = seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);

    (void)state;
    printf("CKPT_TEST_SEED=%" PRIu64 "\n", number);
    prng_seed(&prng, number);
    fill(secret, sizeof(secret));
    fingerprint_key_derive(secret, &key);
    return digest_engine_select(NULL, &widest) == CKPT_OK ? 0 : -1;
}

static void derive__as_b3sum_does(void **state)
{
    /* printf 0123456789abcdef0123456789abcdef | b3sum --derive-key 'ckptd test' --length 100 */
    static const char expected[] =
        "976b6c0e5b8abcf313422dacd080577b5414e83406fb89a2a1d4812214d60d30c2dabb98b27d6992"
        "e603f09720f6c0ecb829c5fe498cb36443f11a2794a1f490bb2b28a7f8c8d7a5b5325c44fbcc4625"
        "195efd3189fd51b3f7f6fc8d7e296a3b9f12c6dc";
    uint8_t out[100];
    char hex[2 * sizeof(out) + 1];

    (void)state;
    digest_derive("ckptd test", (const uint8_t *)"0123456789abcdef0123456789abcdef", out,
                  sizeof(out));
    for (size_t i = 0; i < sizeof(out); i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", out[i]);
    }
    assert_string_equal(hex, expected);
}

static void like_scalar(const struct digest_engine *engine, void *context)
{
    const struct digest_engine *scalar = digest_engine_by_name("scalar");
    uint8_t *data = context;

    for (size_t i = 0; i < 600; i++) {
        size_t bytes = i < 300 ? i * 16 : (size_t)prng_below(&prng, 80 * 1024);
        size_t at = (size_t)prng_below(&prng, 64);
        uint8_t value[FINGERPRINT_VALUE_BYTES], wanted[FINGERPRINT_VALUE_BYTES];

        assert_int_equal(fingerprint_chunk(engine, &key, data + at, bytes, value), CKPT_OK);
        assert_int_equal(fingerprint_chunk(scalar, &key, data + at, bytes, wanted), CKPT_OK);
        if (memcmp(value, wanted, sizeof(value)) != 0) {
            fail_msg("engine %s, %zu bytes at %zu: another value than the scalar engine's",
                     digest_engine_name(engine), bytes, at);
        }
    }
}

static void engines__are_like_the_scalar_one(void **state)
{
    uint8_t *data = malloc(CKPT_CHUNK_BYTES);

    (void)state;
    assert_non_null(data);
    fill(data, CKPT_CHUNK_BYTES);
    each_engine(like_scalar, data);
    memset(data, 0xff, CKPT_CHUNK_BYTES); /* what carries the furthest */
    each_engine(like_scalar, data);
    free(data);
}

static void chunk__and_fold_refuse_wrong_sizes(void **state)
{
    uint8_t value[FINGERPRINT_VALUE_BYTES] = {7}, values[2 * FINGERPRINT_VALUE_BYTES] = {0};
    struct digest fingerprint = {{7}};

    (void)state;
    assert_int_equal(fingerprint_chunk(widest, &key, values, CKPT_CHUNK_BYTES + 1, value),
                     CKPT_ERR_SIZE);
    assert_int_equal(value[0], 7);
    assert_int_equal(fingerprint_fold(values, 2, CKPT_CHUNK_BYTES, &fingerprint), CKPT_ERR_SIZE);
    assert_int_equal(fingerprint_fold(values, 1, CKPT_CHUNK_BYTES + 1, &fingerprint),
                     CKPT_ERR_SIZE);
    assert_int_equal(fingerprint.bytes[0], 7);
}

static void key__another_secret_another_value(void **state)
{
    uint8_t secret[FINGERPRINT_SECRET_BYTES] = {1}, data[5000] = {0};
    struct fingerprint_key other;
    struct digest mine, theirs;

    (void)state;
    fingerprint_key_derive(secret, &other);
    fingerprint_bytes(widest, &key, data, sizeof(data), &mine);
    fingerprint_bytes(widest, &other, data, sizeof(data), &theirs);
    assert_false(digest_equal(&mine, &theirs));
}

static void length__counts(void **state)
{
    uint8_t zeros[64] = {0};
    struct digest fingerprints[65];

    (void)state;
    for (size_t i = 0; i <= 64; i++) {
        fingerprint_bytes(widest, &key, zeros, i, &fingerprints[i]);
        for (size_t j = 0; j < i; j++) {
            assert_false(digest_equal(&fingerprints[i], &fingerprints[j]));
        }
    }
}

/* ---- what may happen to bytes ---- */

struct shard {
    uint8_t *data;
    uint8_t *was;
    uint8_t values[SHARD_CHUNKS][FINGERPRINT_VALUE_BYTES];
    struct digest fingerprint;
};

static void value_of(struct shard *shard, size_t chunk, uint8_t *value_out)
{
    size_t bytes = (size_t)digest_chunk_bytes(chunk, SHARD_BYTES);

    assert_int_equal(
        fingerprint_chunk(widest, &key, shard->data + chunk * CKPT_CHUNK_BYTES, bytes, value_out),
        CKPT_OK);
}

/* Of two ranges of the same length. */
static void swap(uint8_t *a, uint8_t *b, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = a[i];

        a[i] = b[i];
        b[i] = byte;
    }
}

enum corruption { BIT, TWO_BITS, SWAPPED_UNITS, SWAPPED_KIB, SHIFTED, ZEROED, OTHER_STEP, KINDS };

/* Changes bytes of a range of `bytes` at data; it may be that they are as before. */
static void corrupt(uint8_t *data, size_t bytes)
{
    size_t a = (size_t)prng_below(&prng, bytes), b = (size_t)prng_below(&prng, bytes);
    size_t left = bytes - (a > b ? a : b);
    size_t kib_a = a / 1024 * 1024, kib_b = b / 1024 * 1024;

    switch ((enum corruption)prng_below(&prng, KINDS)) {
    case TWO_BITS:
        data[b] ^= (uint8_t)(1u << prng_below(&prng, 8));
        __attribute__((fallthrough));
    case BIT:
    case KINDS:
        data[a] ^= (uint8_t)(1u << prng_below(&prng, 8));
        break;
    case SWAPPED_UNITS:
        swap(data + a / 16 * 16, data + b / 16 * 16, 16);
        break;
    case SWAPPED_KIB:
        swap(data + kib_a, data + kib_b, 1024);
        break;
    case SHIFTED:
        memmove(data + a, data + b, left);
        break;
    case ZEROED:
        memset(data + a, 0, left);
        break;
    case OTHER_STEP:
        fill(data + a, left < 64 ? left : 64);
        break;
    }
}

/* One in 4,096 is in a whole chunk, the rest in the short last one, which is proven faster. */
static bool corruption_is_seen(struct shard *shard, uint32_t number)
{
    size_t chunk = number % 4096 == 0 ? number / 4096 % (SHARD_CHUNKS - 1) : SHARD_CHUNKS - 1;
    size_t bytes = (size_t)digest_chunk_bytes(chunk, SHARD_BYTES);
    uint8_t *data = shard->data + chunk * CKPT_CHUNK_BYTES;
    const uint8_t *was = shard->was + chunk * CKPT_CHUNK_BYTES;
    uint8_t values[SHARD_CHUNKS][FINGERPRINT_VALUE_BYTES];
    struct digest fingerprint;
    bool is_seen;

    corrupt(data, bytes);
    if (memcmp(data, was, bytes) == 0) {
        return true;
    }
    memcpy(values, shard->values, sizeof(values));
    value_of(shard, chunk, values[chunk]);
    assert_int_equal(fingerprint_fold(values[0], SHARD_CHUNKS, SHARD_BYTES, &fingerprint), CKPT_OK);
    is_seen = !digest_equal(&fingerprint, &shard->fingerprint);
    memcpy(data, was, bytes);
    return is_seen;
}

static void corruptions__are_all_seen(void **state)
{
    struct shard shard = {.data = malloc(SHARD_BYTES), .was = malloc(SHARD_BYTES)};
    uint8_t swapped[SHARD_CHUNKS][FINGERPRINT_VALUE_BYTES];
    struct digest fingerprint;

    (void)state;
    assert_non_null(shard.data);
    assert_non_null(shard.was);
    fill(shard.data, SHARD_BYTES);
    memcpy(shard.was, shard.data, SHARD_BYTES);
    for (size_t i = 0; i < SHARD_CHUNKS; i++) {
        value_of(&shard, i, shard.values[i]);
    }
    fingerprint_bytes(widest, &key, shard.data, SHARD_BYTES, &shard.fingerprint);
    for (uint32_t i = 0; i < CORRUPTIONS; i++) {
        if (!corruption_is_seen(&shard, i)) {
            fail_msg("corruption %u left the fingerprint as it was", i);
        }
    }
    memcpy(swapped[0], shard.values[1], sizeof(swapped[0]));
    memcpy(swapped[1], shard.values[0], sizeof(swapped[1]));
    memcpy(swapped[2], shard.values[2], sizeof(swapped[2]));
    assert_int_equal(fingerprint_fold(swapped[0], SHARD_CHUNKS, SHARD_BYTES, &fingerprint),
                     CKPT_OK);
    assert_false(digest_equal(&fingerprint, &shard.fingerprint));
    free(shard.data);
    free(shard.was);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derive__as_b3sum_does),
        cmocka_unit_test(engines__are_like_the_scalar_one),
        cmocka_unit_test(chunk__and_fold_refuse_wrong_sizes),
        cmocka_unit_test(key__another_secret_another_value),
        cmocka_unit_test(length__counts),
        cmocka_unit_test(corruptions__are_all_seen),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
