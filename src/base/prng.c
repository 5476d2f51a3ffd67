/* SPDX-License-Identifier: Apache-2.0 */
#include "base/prng.h"

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

/* SplitMix64: spreads a seed of few set bits over all of them. */
static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void prng_seed(struct prng *prng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        prng->state[i] = splitmix(&seed);
    }
}

uint64_t prng_next(struct prng *prng)
{
    uint64_t *s = prng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    uint64_t drawn = prng_next(prng);
    if (bound == 0) {
        return 0;
    }
    /* 2^64 is seldom a multiple of bound: numbers of the incomplete last round are drawn again. */
    uint64_t incomplete = (UINT64_MAX % bound + 1) % bound;
    while (drawn > UINT64_MAX - incomplete) {
        drawn = prng_next(prng);
    }
    return drawn % bound;
}

bool prng_chance(struct prng *prng, uint32_t ppm)
{
    return prng_below(prng, 1000000) < ppm;
}
