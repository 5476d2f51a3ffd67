/* SPDX-License-Identifier: Apache-2.0 */
/* What a piece is proven by: any bit of it, its place, and the commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "fanout/proof.h"

#define BYTES (5 * CKPT_MIB + 777)
#define PIECE (2 * CKPT_MIB)

static uint8_t *data;
static struct fanout_proof proof;
static struct fanout_plan plan;
static uint8_t values[8 * PROOF_VALUE_BYTES_MAX];
static const uint8_t secret[FINGERPRINT_SECRET_BYTES] = {1, 2, 3};

static void make(enum digest_kind kind)
{
    const bool holds[1] = {true};
    plan_make(&plan, BYTES, PIECE, FANOUT_CHAIN, holds, 1);
    proof_make(&proof, kind, BYTES, secret);
    uint8_t *at = values;
    for (uint64_t i = 0; i < plan_piece_count(&plan); i++) {
        struct fanout_piece piece = plan_piece(&plan, i);
        proof_values(&proof, &piece, data + piece.offset, at);
        at += proof_values_bytes(&proof, piece.bytes);
    }
    assert_int_equal(at - values, proof_values_bytes(&proof, BYTES));
}

static bool is_right(uint64_t index, const uint8_t *bytes)
{
    uint8_t found[PROOF_PIECE_VALUES_MAX];
    struct fanout_piece piece = plan_piece(&plan, index);
    proof_values(&proof, &piece, bytes, found);
    return memcmp(found, values + index * proof_values_bytes(&proof, PIECE),
                  proof_values_bytes(&proof, piece.bytes)) == 0;
}

static void any_bit_is_seen(void **state)
{
    struct prng prng;
    (void)state;
    prng_seed(&prng, 2);
    for (int kind = DIGEST_KIND_BLAKE3; kind <= DIGEST_KIND_FINGERPRINT; kind++) {
        make((enum digest_kind)kind);
        for (int i = 0; i < 60; i++) {
            uint64_t at = i == 0 ? BYTES - 1 : prng_below(&prng, BYTES);
            uint64_t index = at / PIECE;
            uint8_t bit = (uint8_t)(1u << prng_below(&prng, 8));
            assert_true(is_right(index, data + index * PIECE));
            data[at] ^= bit;
            assert_false(is_right(index, data + index * PIECE));
            data[at] ^= bit;
        }
        assert_false(is_right(0, data + PIECE)); /* another piece's bytes */
    }
}

static void blake3_is_of_the_commit(void **state)
{
    struct digest digest;
    const struct digest_engine *engine;
    (void)state;
    digest_engine_select(NULL, &engine);
    digest_bytes(engine, data, BYTES, &digest);
    make(DIGEST_KIND_BLAKE3);
    assert_true(proof_is_of(&proof, values, &digest));
    values[40] ^= 1;
    assert_false(proof_is_of(&proof, values, &digest));
}

static void another_key_gives_other_values(void **state)
{
    uint8_t other[FINGERPRINT_SECRET_BYTES] = {1, 2, 4};
    (void)state;
    make(DIGEST_KIND_FINGERPRINT);
    proof_make(&proof, DIGEST_KIND_FINGERPRINT, BYTES, other);
    assert_false(is_right(0, data));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_bit_is_seen),
        cmocka_unit_test(blake3_is_of_the_commit),
        cmocka_unit_test(another_key_gives_other_values),
    };
    struct prng prng;
    prng_seed(&prng, 1);
    data = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++) {
        data[i] = (uint8_t)prng_next(&prng);
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(data);
    return failed;
}
