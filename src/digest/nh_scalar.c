/* SPDX-License-Identifier: Apache-2.0 */
/* NH as it is defined: what the vector engines are held against. */
#include "digest/nh_scalar.h"

#include <string.h>

#include "base/bytes.h"

static void sum_units(const uint32_t *words, const uint8_t *data, size_t units,
                      uint64_t sums[NH_PASSES])
{
    for (size_t unit = 0; unit < units; unit++, data += NH_UNIT_BYTES) {
        uint32_t m0 = load_le32(data), m1 = load_le32(data + 4);
        uint32_t m2 = load_le32(data + 8), m3 = load_le32(data + 12);

        for (size_t pass = 0; pass < NH_PASSES; pass++) {
            const uint32_t *k = words + (unit + pass) * NH_UNIT_WORDS; /* in the order 0 2 1 3 */

            sums[pass] += (uint64_t)(uint32_t)(m0 + k[0]) * (uint32_t)(m2 + k[1]) +
                          (uint64_t)(uint32_t)(m1 + k[2]) * (uint32_t)(m3 + k[3]);
        }
    }
}

static void store_sums(const uint64_t sums[NH_PASSES], uint8_t *hash_out)
{
    for (size_t pass = 0; pass < NH_PASSES; pass++) {
        store_le64(hash_out + 8 * pass, sums[pass]);
    }
}

void nh_scalar(const uint32_t *words, const uint8_t *data, size_t count, uint8_t *hashes_out)
{
    for (; count > 0; count--, data += NH_MESSAGE_BYTES, hashes_out += NH_HASH_BYTES) {
        uint64_t sums[NH_PASSES] = {0};

        sum_units(words, data, NH_MESSAGE_BYTES / NH_UNIT_BYTES, sums);
        store_sums(sums, hashes_out);
    }
}

void nh_short_message(const uint32_t *words, const uint8_t *data, size_t bytes,
                      uint8_t hash_out[NH_HASH_BYTES])
{
    size_t units = bytes / NH_UNIT_BYTES;
    size_t rest = bytes % NH_UNIT_BYTES;
    uint64_t sums[NH_PASSES] = {0};

    sum_units(words, data, units, sums);
    if (rest > 0) {
        uint8_t last[NH_UNIT_BYTES] = {0};

        memcpy(last, data + units * NH_UNIT_BYTES, rest);
        sum_units(words + units * NH_UNIT_WORDS, last, 1, sums);
    }
    store_sums(sums, hash_out);
}
