/* SPDX-License-Identifier: Apache-2.0 */
/* One unit at a time, little-endian. The multiplication adds to the sum, and takes narrow vectors:
 * the halves are narrowed in place of a shift. */
#include <arm_neon.h>

#include "base/bytes.h"
#include "digest/nh.h"

#define AHEAD_BYTES 8192

static void hash_message(const uint32_t *words, const uint8_t *data, uint8_t *hash_out)
{
    uint64x2_t sums[NH_PASSES] = {vdupq_n_u64(0), vdupq_n_u64(0), vdupq_n_u64(0), vdupq_n_u64(0)};

    for (size_t unit = 0; unit < NH_MESSAGE_BYTES / NH_UNIT_BYTES; unit++) {
        uint32x4_t message = vreinterpretq_u32_u8(vld1q_u8(data));
        /* The order 0 2 1 3. */
        message = vcombine_u32(vzip1_u32(vget_low_u32(message), vget_high_u32(message)),
                               vzip2_u32(vget_low_u32(message), vget_high_u32(message)));
        __builtin_prefetch(data + AHEAD_BYTES);
        for (size_t pass = 0; pass < NH_PASSES; pass++) {
            uint32x4_t terms = vaddq_u32(message, vld1q_u32(words + pass * NH_UNIT_WORDS));
            uint64x2_t pairs = vreinterpretq_u64_u32(terms);

            sums[pass] = vmlal_u32(sums[pass], vmovn_u64(pairs), vshrn_n_u64(pairs, 32));
        }
        words += NH_UNIT_WORDS;
        data += NH_UNIT_BYTES;
    }
    for (size_t pass = 0; pass < NH_PASSES; pass++) {
        store_le64(hash_out + 8 * pass, vaddvq_u64(sums[pass]));
    }
}

void nh_neon(const uint32_t *words, const uint8_t *data, size_t count, uint8_t *hashes_out)
{
    for (; count > 0; count--, data += NH_MESSAGE_BYTES, hashes_out += NH_HASH_BYTES) {
        hash_message(words, data, hashes_out);
    }
}
