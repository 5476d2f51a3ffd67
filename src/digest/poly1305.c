/* SPDX-License-Identifier: Apache-2.0 */
/* Limbs of 44 bits leave room to add the products of many blocks before a carry, so that sixteen,
 * each with a power of r of its own, cost one, and do not wait for each other. */
#include "digest/poly1305.h"

#include "base/bytes.h"

#define LIMB_BITS 44
#define TOP_BITS 42
#define LIMB_MASK ((UINT64_C(1) << LIMB_BITS) - 1)
#define TOP_MASK ((UINT64_C(1) << TOP_BITS) - 1)
#define NARROW_MASK ((UINT64_C(1) << 26) - 1)
#define WRAP 20 /* 2^132 is 4 * 5 modulo 2^130 - 5 */

__extension__ typedef unsigned __int128 wide;

/* Adds the limbs of the block at `at`, and the bit above it, to those in limbs. */
static inline void add_block(uint64_t limbs[3], const uint8_t *at)
{
    uint64_t low = load_le64(at), high = load_le64(at + 8);

    limbs[0] += low & LIMB_MASK;
    limbs[1] += (low >> LIMB_BITS | high << (64 - LIMB_BITS)) & LIMB_MASK;
    limbs[2] += high >> (2 * LIMB_BITS - 64) | UINT64_C(1) << (128 - 2 * LIMB_BITS);
}

/* a times r: r[3] and r[4] are r[1] and r[2] times WRAP. */
static inline void add_product(wide sums[3], const uint64_t a[3], const uint64_t r[5])
{
    sums[0] += (wide)a[0] * r[0] + (wide)a[1] * r[4] + (wide)a[2] * r[3];
    sums[1] += (wide)a[0] * r[1] + (wide)a[1] * r[0] + (wide)a[2] * r[4];
    sums[2] += (wide)a[0] * r[2] + (wide)a[1] * r[1] + (wide)a[2] * r[0];
}

/* What lies above the lowest `bits`, which fits: no sum reaches 2^106. */
static inline uint64_t above(wide sum, unsigned bits)
{
    return (uint64_t)(sum >> bits);
}

/* Afterwards the limbs have their own bits, but for one more in the second at most. */
static inline void carry(wide sums[3], uint64_t limbs_out[3])
{
    uint64_t first;

    sums[1] += above(sums[0], LIMB_BITS);
    sums[2] += above(sums[1], LIMB_BITS);
    first = ((uint64_t)sums[0] & LIMB_MASK) + above(sums[2], TOP_BITS) * 5;
    limbs_out[0] = first & LIMB_MASK;
    limbs_out[1] = ((uint64_t)sums[1] & LIMB_MASK) + (first >> LIMB_BITS);
    limbs_out[2] = (uint64_t)sums[2] & TOP_MASK;
}

/* r^16 and so on in limbs of 26 bits, as lanes have them. */
static void make_lanes(struct poly1305_key *key)
{
    for (size_t block = 0; block < POLY1305_POWERS; block++) {
        size_t group = block / POLY1305_LANES;
        size_t in_group = block % POLY1305_LANES;
        const uint64_t *power = key->powers[POLY1305_POWERS - 1 - block];
        /* The second limb may have one bit more than its own. */
        uint64_t second = power[1] & LIMB_MASK, third = power[2] + (power[1] >> LIMB_BITS);
        uint64_t limbs[5] = {power[0] & NARROW_MASK, (power[0] >> 26 | second << 18) & NARROW_MASK,
                             (second >> 8) & NARROW_MASK,
                             (second >> 34 | third << 10) & NARROW_MASK, third >> 16};
        size_t lane = 0;

        while (poly1305_lane_order[lane] != in_group) {
            lane++;
        }
        for (size_t i = 0; i < 5; i++) {
            key->lanes[group][i][lane] = limbs[i];
            if (i > 0) {
                key->lanes[group][4 + i][lane] = 5 * limbs[i];
            }
        }
    }
}

void poly1305_key_make(const uint8_t r[16], struct poly1305_key *key_out)
{
    uint64_t low = load_le64(r) & UINT64_C(0x0ffffffc0fffffff);
    uint64_t high = load_le64(r + 8) & UINT64_C(0x0ffffffc0ffffffc);
    uint64_t(*powers)[5] = key_out->powers;

    powers[0][0] = low & LIMB_MASK;
    powers[0][1] = (low >> LIMB_BITS | high << (64 - LIMB_BITS)) & LIMB_MASK;
    powers[0][2] = high >> (2 * LIMB_BITS - 64);
    for (size_t i = 0; i < POLY1305_POWERS; i++) {
        wide sums[3] = {0};

        if (i > 0) {
            add_product(sums, powers[i - 1], powers[0]);
            carry(sums, powers[i]);
        }
        powers[i][3] = powers[i][1] * WRAP;
        powers[i][4] = powers[i][2] * WRAP;
    }
    make_lanes(key_out);
}

/* Sixteen blocks by vectors; what the sum was so far gets the power of the first of them. */
static void take_sixteen(uint64_t sum[3], const struct poly1305_key *key, poly1305_sixteen *sixteen,
                         const uint8_t *blocks)
{
    uint64_t limbs[5];
    wide sums[3] = {0};

    sixteen(key, blocks, limbs);
    add_product(sums, sum, key->powers[POLY1305_POWERS - 1]);
    sums[0] += limbs[0] + ((wide)limbs[1] << 26);
    sums[1] += ((wide)limbs[2] << 8) + ((wide)limbs[3] << 34); /* 2^52 and 2^78 */
    sums[2] += (wide)limbs[4] << 16;                           /* 2^104 */
    carry(sums, sum);
}

void poly1305_blocks(uint64_t sum[3], const struct poly1305_key *key, poly1305_sixteen *sixteen,
                     const uint8_t *blocks, size_t count)
{
    while (count > 0) {
        size_t taken = count < POLY1305_POWERS ? count : POLY1305_POWERS;

        if (taken == POLY1305_POWERS && sixteen != NULL) {
            take_sixteen(sum, key, sixteen, blocks);
        } else {
            wide sums[3] = {0};

            add_block(sum, blocks);
            add_product(sums, sum, key->powers[taken - 1]);
            for (size_t i = 1; i < taken; i++) {
                uint64_t limbs[3] = {0};

                add_block(limbs, blocks + i * POLY1305_BLOCK_BYTES);
                add_product(sums, limbs, key->powers[taken - 1 - i]);
            }
            carry(sums, sum);
        }
        blocks += taken * POLY1305_BLOCK_BYTES;
        count -= taken;
    }
}

void poly1305_emit(const uint64_t sum[3], uint8_t value_out[16])
{
    wide sums[3] = {sum[0], sum[1], sum[2]};
    uint64_t limbs[3], plus[3];

    carry(sums, limbs);
    sums[0] = limbs[0], sums[1] = limbs[1], sums[2] = limbs[2];
    carry(sums, limbs); /* the second limb's last surplus bit */
    /* Less 2^130 - 5 when that is not below zero: the sum plus 5 has a bit above its top. */
    plus[0] = limbs[0] + 5;
    plus[1] = limbs[1] + (plus[0] >> LIMB_BITS);
    plus[2] = limbs[2] + (plus[1] >> LIMB_BITS);
    if (plus[2] >> TOP_BITS != 0) {
        limbs[0] = plus[0] & LIMB_MASK;
        limbs[1] = plus[1] & LIMB_MASK;
        limbs[2] = plus[2] & TOP_MASK;
    }
    store_le64(value_out, limbs[0] | limbs[1] << LIMB_BITS);
    store_le64(value_out + 8, limbs[1] >> (64 - LIMB_BITS) | limbs[2] << (2 * LIMB_BITS - 64));
}
