/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NH over vectors. An engine's file says what its vectors are: VECTOR_BYTES, `vector`, load_words,
 * unit_order, add_words, add_sums, multiply, high_halves, zero_sums and store_hash; and NH_ENGINE,
 * the function's name.
 *
 * One message after the other: two or four side by side, which would share the key's loads, are as
 * fast from the cache, and from memory two to three times slower (docs/digest.md).
 */
#include "digest/nh.h"

/* So far ahead memory is asked for. */
#define AHEAD_BYTES 8192
#define LINE_BYTES 64

#define STEP_WORDS (VECTOR_BYTES / 4)

static inline void hash_message(const uint32_t *words, const uint8_t *data, uint8_t *hash_out)
{
    vector sums[NH_PASSES] = {zero_sums(), zero_sums(), zero_sums(), zero_sums()};

    for (size_t at = 0; at < NH_MESSAGE_BYTES; at += VECTOR_BYTES, words += STEP_WORDS) {
        vector message = unit_order(load_words(data + at));

        if (at % LINE_BYTES == 0) {
            __builtin_prefetch(data + at + AHEAD_BYTES);
        }
#pragma GCC unroll 4
        for (size_t pass = 0; pass < NH_PASSES; pass++) {
            vector terms = add_words(message, load_words(words + pass * NH_UNIT_WORDS));

            sums[pass] = add_sums(sums[pass], multiply(terms, high_halves(terms)));
        }
    }
    store_hash(hash_out, sums);
}

void NH_ENGINE(const uint32_t *words, const uint8_t *data, size_t count, uint8_t *hashes_out)
{
    for (; count > 0; count--, data += NH_MESSAGE_BYTES, hashes_out += NH_HASH_BYTES) {
        hash_message(words, data, hashes_out);
    }
}
