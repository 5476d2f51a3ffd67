/* SPDX-License-Identifier: Apache-2.0 */
/* The engine that runs everywhere, and the single compressions that no engine does in parallel:
 * short leaves and the root. */
#include "digest/scalar.h"

#include <string.h>

#include "base/bytes.h"
#include "digest/engine.h"

static inline uint32_t rotate_right(uint32_t word, unsigned bits)
{
    return (word >> bits) | (word << (32 - bits));
}

/* The message word is added to the operand that is ready first: the sum of the other two is on the
 * critical path. */
#define MIX(a, b, c, d, x, y)                                                                      \
    do {                                                                                           \
        a = (a + (x)) + b;                                                                         \
        d = rotate_right(d ^ a, 16);                                                               \
        c = c + d;                                                                                 \
        b = rotate_right(b ^ c, 12);                                                               \
        a = (a + (y)) + b;                                                                         \
        d = rotate_right(d ^ a, 8);                                                                \
        c = c + d;                                                                                 \
        b = rotate_right(b ^ c, 7);                                                                \
    } while (0)

#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15)                \
    MIX(v0, v4, v8, v12, m[s0], m[s1]);                                                            \
    MIX(v1, v5, v9, v13, m[s2], m[s3]);                                                            \
    MIX(v2, v6, v10, v14, m[s4], m[s5]);                                                           \
    MIX(v3, v7, v11, v15, m[s6], m[s7]);                                                           \
    MIX(v0, v5, v10, v15, m[s8], m[s9]);                                                           \
    MIX(v1, v6, v11, v12, m[s10], m[s11]);                                                         \
    MIX(v2, v7, v8, v13, m[s12], m[s13]);                                                          \
    MIX(v3, v4, v9, v14, m[s14], m[s15]);

/* One compression (section 2.2). It leaves the chaining value, its first half, in cv; the second is
 * of use only where a root's output is longer than that, and more_out is NULL elsewhere. */
static inline void compress(uint32_t cv[8], const uint8_t *block, uint64_t counter,
                            uint32_t block_bytes, uint32_t flags, uint32_t *more_out)
{
    uint32_t m[16];
    uint32_t v0 = cv[0], v1 = cv[1], v2 = cv[2], v3 = cv[3];
    uint32_t v4 = cv[4], v5 = cv[5], v6 = cv[6], v7 = cv[7];
    uint32_t v8 = BLAKE3_IV0, v9 = BLAKE3_IV1, v10 = BLAKE3_IV2, v11 = BLAKE3_IV3;
    uint32_t v12 = (uint32_t)counter, v13 = (uint32_t)(counter >> 32);
    uint32_t v14 = block_bytes, v15 = flags;

    for (size_t i = 0; i < 16; i++) {
        m[i] = load_le32(block + 4 * i);
    }
    BLAKE3_ROUNDS(ROUND)
    if (more_out != NULL) {
        const uint32_t upper[8] = {v8, v9, v10, v11, v12, v13, v14, v15};

        for (size_t i = 0; i < 8; i++) {
            more_out[i] = upper[i] ^ cv[i];
        }
    }
    cv[0] = v0 ^ v8;
    cv[1] = v1 ^ v9;
    cv[2] = v2 ^ v10;
    cv[3] = v3 ^ v11;
    cv[4] = v4 ^ v12;
    cv[5] = v5 ^ v13;
    cv[6] = v6 ^ v14;
    cv[7] = v7 ^ v15;
}

static inline void start(uint32_t cv[8])
{
    static const uint32_t key[8] = {BLAKE3_IV0, BLAKE3_IV1, BLAKE3_IV2, BLAKE3_IV3,
                                    BLAKE3_IV4, BLAKE3_IV5, BLAKE3_IV6, BLAKE3_IV7};

    memcpy(cv, key, sizeof(key));
}

static inline void store_cv(const uint32_t cv[8], uint8_t *cv_out)
{
    for (size_t i = 0; i < 8; i++) {
        store_le32(cv_out + 4 * i, cv[i]);
    }
}

void digest_scalar_parent(const uint8_t *pair, uint32_t flags, uint8_t *cv_out)
{
    uint32_t cv[8];

    start(cv);
    compress(cv, pair, 0, BLAKE3_BLOCK_BYTES, BLAKE3_PARENT | flags, NULL);
    store_cv(cv, cv_out);
}

/* One leaf from the key that cv holds, to the chaining value that it holds then. */
static inline void leaf(uint32_t cv[8], const uint8_t *data, size_t bytes, uint64_t leaf_index,
                        uint32_t flags)
{
    uint8_t last[BLAKE3_BLOCK_BYTES] = {0};
    uint32_t mode = flags & ~BLAKE3_ROOT;
    uint32_t block_flags = BLAKE3_CHUNK_START;

    while (bytes > BLAKE3_BLOCK_BYTES) {
        compress(cv, data, leaf_index, BLAKE3_BLOCK_BYTES, block_flags | mode, NULL);
        block_flags = 0;
        data += BLAKE3_BLOCK_BYTES;
        bytes -= BLAKE3_BLOCK_BYTES;
    }
    if (bytes > 0) {
        memcpy(last, data, bytes);
    }
    compress(cv, last, leaf_index, (uint32_t)bytes, block_flags | BLAKE3_CHUNK_END | flags, NULL);
}

void digest_scalar_leaf(const uint8_t *data, size_t bytes, uint64_t leaf_index, uint32_t flags,
                        uint8_t *cv_out)
{
    uint32_t cv[8];

    start(cv);
    leaf(cv, data, bytes, leaf_index, flags);
    store_cv(cv, cv_out);
}

/* Section 2.3: the context's hash is the key under which the secret is hashed, and the root's
 * output goes on with the counter. */
void digest_derive(const char *context, const uint8_t secret[DIGEST_SECRET_BYTES], void *out,
                   size_t bytes)
{
    const uint32_t flags =
        BLAKE3_CHUNK_START | BLAKE3_CHUNK_END | BLAKE3_ROOT | BLAKE3_DERIVE_KEY_MATERIAL;
    uint8_t block[BLAKE3_BLOCK_BYTES] = {0};
    uint32_t key[8];

    start(key);
    leaf(key, (const uint8_t *)context, strlen(context), 0,
         BLAKE3_DERIVE_KEY_CONTEXT | BLAKE3_ROOT);
    memcpy(block, secret, DIGEST_SECRET_BYTES);
    for (uint64_t counter = 0; bytes > 0; counter++) {
        size_t taken = bytes < BLAKE3_BLOCK_BYTES ? bytes : BLAKE3_BLOCK_BYTES;
        uint8_t output[BLAKE3_BLOCK_BYTES];
        uint32_t cv[8], more[8];

        memcpy(cv, key, sizeof(cv));
        compress(cv, block, counter, DIGEST_SECRET_BYTES, flags, more);
        store_cv(cv, output);
        store_cv(more, output + BLAKE3_BLOCK_BYTES / 2);
        memcpy(out, output, taken);
        out = (uint8_t *)out + taken;
        bytes -= taken;
    }
}

static bool supported(void)
{
    return true;
}

static void leaves(const uint8_t *data, size_t count, uint64_t leaf_index, uint8_t *cvs_out)
{
    for (size_t i = 0; i < count; i++) {
        digest_scalar_leaf(data + i * BLAKE3_LEAF_BYTES, BLAKE3_LEAF_BYTES, leaf_index + i, 0,
                           cvs_out + i * DIGEST_CV_BYTES);
    }
}

static void parents(const uint8_t *cvs, size_t count, uint8_t *cvs_out)
{
    for (size_t i = 0; i < count; i++) {
        digest_scalar_parent(cvs + 2 * i * DIGEST_CV_BYTES, 0, cvs_out + i * DIGEST_CV_BYTES);
    }
}

const struct digest_engine digest_engine_scalar = {
    .name = "scalar",
    .supported = supported,
    .leaves = leaves,
    .parents = parents,
    .nh = nh_scalar,
};

const struct digest_engine *digest_engine_plain(void)
{
    return &digest_engine_scalar;
}
