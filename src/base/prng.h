/* SPDX-License-Identifier: Apache-2.0 */
/* A small deterministic random generator: the same seed gives the same numbers on every machine,
 * so a simulator's or a fuzzer's failing seed replays. Not for secrets. Pure; one thread a state.
 *
 * xoshiro256** seeded through SplitMix64: D. Blackman and S. Vigna, "Scrambled linear pseudorandom
 * number generators", ACM Transactions on Mathematical Software 47(4), 2021. */
#ifndef CKPT_BASE_PRNG_H
#define CKPT_BASE_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct prng {
    uint64_t state[4]; /* never all zero */
};

/* Starts the sequence of seed; every seed, 0 too, is good. */
void prng_seed(struct prng *prng, uint64_t seed);

/* 64 random bits. */
uint64_t prng_next(struct prng *prng);

/* A number in [0, bound), each equally likely; 0 when bound is 0. May draw more than once. */
uint64_t prng_below(struct prng *prng, uint64_t bound);

/* True with a probability of ppm parts in a million; always draws once or more, so that changing a
 * probability from or to 0 leaves the rest of a sequence alone. */
bool prng_chance(struct prng *prng, uint32_t ppm);

#endif
