/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BLAKE3 of LANES inputs side by side: word i of lane j is element j of vector i, so a compression
 * is the scalar one with vectors for words. Included once by each vector engine, which defines
 * before
 *
 *     LANES, vector               how many, and the type of that many 32-bit words
 *     add_words, xor_words        element by element
 *     add_message(a, word)        add_words() of a word that lies in memory
 *     rotate16, rotate12, rotate8, rotate7    to the right
 *     HOLD(word)                  keeps a word in memory until its next use, or does nothing
 *     broadcast(word)             the word in every element
 *     counters(first, high)       the low (or with high the high) words of first + 0, 1, 2...
 *     struct loader, load_step(loader, at, stride, m, step)
 *                                 a part of bringing one 64-byte block of each lane to m[16], word
 *                                 by word; done when it was called with each step below LOAD_STEPS
 *     store_cvs(cv, cvs_out)      transposes cv[8] into LANES contiguous chaining values
 *     NARROWER                    the engine that does what is less than LANES
 *
 * While the rounds of one block run, the next block is loaded a step at a time, one step for each
 * of the 28 half mixes: its shuffles fill the slots that the rounds' chains leave. */
#ifndef CKPT_DIGEST_LANES_H
#define CKPT_DIGEST_LANES_H

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Half of four mixes of section 2.2 in step with each other. In program order the four dependent
 * chains lie side by side, which is what keeps the pipes full. */
#define HALF_MIX(a, b, c, d, e, f, g, h, i, j, k, l, n, o, p, q, x0, x1, x2, x3, rotate_d,         \
                 rotate_b)                                                                         \
    a = add_message(a, x0), e = add_message(e, x1), i = add_message(i, x2),                        \
    n = add_message(n, x3);                                                                        \
    a = add_words(a, b), e = add_words(e, f), i = add_words(i, j), n = add_words(n, o);            \
    d = xor_words(d, a), h = xor_words(h, e), l = xor_words(l, i), q = xor_words(q, n);            \
    d = rotate_d(d), h = rotate_d(h), l = rotate_d(l), q = rotate_d(q);                            \
    c = add_words(c, d), g = add_words(g, h), k = add_words(k, l), p = add_words(p, q);            \
    b = xor_words(b, c), f = xor_words(f, g), j = xor_words(j, k), o = xor_words(o, p);            \
    HOLD(v8);                                                                                      \
    load_step(loader, next, stride, m_next, step++);                                               \
    b = rotate_b(b), f = rotate_b(f), j = rotate_b(j), o = rotate_b(o);

#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15)                \
    HALF_MIX(v0, v4, v8, v12, v1, v5, v9, v13, v2, v6, v10, v14, v3, v7, v11, v15, m[s0], m[s2],   \
             m[s4], m[s6], rotate16, rotate12)                                                     \
    HALF_MIX(v0, v4, v8, v12, v1, v5, v9, v13, v2, v6, v10, v14, v3, v7, v11, v15, m[s1], m[s3],   \
             m[s5], m[s7], rotate8, rotate7)                                                       \
    HALF_MIX(v0, v5, v10, v15, v1, v6, v11, v12, v2, v7, v8, v13, v3, v4, v9, v14, m[s8], m[s10],  \
             m[s12], m[s14], rotate16, rotate12)                                                   \
    HALF_MIX(v0, v5, v10, v15, v1, v6, v11, v12, v2, v7, v8, v13, v3, v4, v9, v14, m[s9], m[s11],  \
             m[s13], m[s15], rotate8, rotate7)

/* One compression of the block in m of every lane; meanwhile the block at next comes to m_next. */
ALWAYS_INLINE void compress(vector cv[8], const vector m[16], vector counter_low,
                            vector counter_high, uint32_t flags, struct loader *loader,
                            const uint8_t *next, size_t stride, vector m_next[16])
{
    vector v0 = cv[0], v1 = cv[1], v2 = cv[2], v3 = cv[3];
    vector v4 = cv[4], v5 = cv[5], v6 = cv[6], v7 = cv[7];
    vector v8 = broadcast(BLAKE3_IV0), v9 = broadcast(BLAKE3_IV1);
    vector v10 = broadcast(BLAKE3_IV2), v11 = broadcast(BLAKE3_IV3);
    vector v12 = counter_low, v13 = counter_high;
    vector v14 = broadcast(BLAKE3_BLOCK_BYTES), v15 = broadcast(flags);
    unsigned step = 0;

    BLAKE3_ROUNDS(ROUND)
    cv[0] = xor_words(v0, v8);
    cv[1] = xor_words(v1, v9);
    cv[2] = xor_words(v2, v10);
    cv[3] = xor_words(v3, v11);
    cv[4] = xor_words(v4, v12);
    cv[5] = xor_words(v5, v13);
    cv[6] = xor_words(v6, v14);
    cv[7] = xor_words(v7, v15);
}

ALWAYS_INLINE void load(const uint8_t *at, size_t stride, vector m[16])
{
    struct loader loader;

    for (unsigned step = 0; step < LOAD_STEPS; step++) {
        load_step(&loader, at, stride, m, step);
    }
}

ALWAYS_INLINE void start(vector cv[8])
{
    cv[0] = broadcast(BLAKE3_IV0);
    cv[1] = broadcast(BLAKE3_IV1);
    cv[2] = broadcast(BLAKE3_IV2);
    cv[3] = broadcast(BLAKE3_IV3);
    cv[4] = broadcast(BLAKE3_IV4);
    cv[5] = broadcast(BLAKE3_IV5);
    cv[6] = broadcast(BLAKE3_IV6);
    cv[7] = broadcast(BLAKE3_IV7);
}

/* Fetches what the next turn reads, one lane's leaf a block: the lanes are too many streams for the
 * hardware to follow. Into the second cache: a fetch past the caches has a CPU of Intel wait, 3.3
 * GB/s in place of 5.0 (docs/digest.md). Past the end it fetches for nothing, but that cannot
 * fault. */
ALWAYS_INLINE void fetch_ahead(const uint8_t *data, unsigned block)
{
    uintptr_t at = (uintptr_t)data + LANES * BLAKE3_LEAF_BYTES + block * LANES * BLAKE3_BLOCK_BYTES;

    for (unsigned i = 0; i < LANES; i++) {
        __builtin_prefetch((const void *)(at + i * BLAKE3_BLOCK_BYTES), 0, 2);
    }
}

static void leaves(const uint8_t *data, size_t count, uint64_t leaf_index, uint8_t *cvs_out)
{
    struct loader loader;
    vector m[2][16];

    if (count >= LANES) {
        load(data, BLAKE3_LEAF_BYTES, m[0]);
    }
    for (; count >= LANES; count -= LANES) {
        vector counter_low = counters(leaf_index, false);
        vector counter_high = counters(leaf_index, true);
        vector cv[8];

        start(cv);
        for (unsigned block = 0; block < BLAKE3_LEAF_BLOCKS; block++) {
            uint32_t flags = (block == 0 ? BLAKE3_CHUNK_START : 0) |
                             (block == BLAKE3_LEAF_BLOCKS - 1 ? BLAKE3_CHUNK_END : 0);
            const uint8_t *next = data + (block + 1) * BLAKE3_BLOCK_BYTES;

            if (block == BLAKE3_LEAF_BLOCKS - 1) {
                /* At the end there is no next block; any that may be read will do. */
                next = count < 2 * LANES ? data : data + LANES * BLAKE3_LEAF_BYTES;
            }
            fetch_ahead(data, block);
            compress(cv, m[block % 2], counter_low, counter_high, flags, &loader, next,
                     BLAKE3_LEAF_BYTES, m[(block + 1) % 2]);
        }
        store_cvs(cv, cvs_out);
        data += LANES * BLAKE3_LEAF_BYTES;
        leaf_index += LANES;
        cvs_out += LANES * DIGEST_CV_BYTES;
    }
    if (count > 0) {
        NARROWER.leaves(data, count, leaf_index, cvs_out);
    }
}

static void parents(const uint8_t *cvs, size_t count, uint8_t *cvs_out)
{
    struct loader loader;
    vector m[2][16];
    unsigned turn = 0;

    if (count >= LANES) {
        load(cvs, BLAKE3_BLOCK_BYTES, m[0]);
    }
    for (; count >= LANES; count -= LANES, turn++) {
        const uint8_t *next = count < 2 * LANES ? cvs : cvs + LANES * BLAKE3_BLOCK_BYTES;
        vector cv[8];

        start(cv);
        compress(cv, m[turn % 2], broadcast(0), broadcast(0), BLAKE3_PARENT, &loader, next,
                 BLAKE3_BLOCK_BYTES, m[(turn + 1) % 2]);
        store_cvs(cv, cvs_out);
        cvs += LANES * BLAKE3_BLOCK_BYTES;
        cvs_out += LANES * DIGEST_CV_BYTES;
    }
    if (count > 0) {
        NARROWER.parents(cvs, count, cvs_out);
    }
}

#endif
