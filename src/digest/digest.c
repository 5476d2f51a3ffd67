/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks, fold and the whole of a memory block. */
#include "digest/digest.h"

#include <string.h>

#include "base/limits.h"
#include "digest/tree.h"

#define CHUNK_LEVEL 10 /* a chunk is 2^10 leaves */

/* digest_fold() joins so many chunks at a time, which an engine does in parallel. */
#define FOLD_LEVEL 8
#define FOLD_CHUNKS (1 << FOLD_LEVEL)

_Static_assert(DIGEST_CV_BYTES == CKPT_DIGEST_BYTES, "the root is a chaining value");
_Static_assert(CKPT_CHUNK_BYTES == BLAKE3_LEAF_BYTES << CHUNK_LEVEL, "a chunk is a whole subtree");
_Static_assert(CKPT_CHUNK_BYTES == BLAKE3_LEAF_BYTES * TREE_LEAVES_MAX, "tree_subtree() takes one");

void digest_hex(const struct digest *digest, char hex_out[DIGEST_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < DIGEST_CV_BYTES; i++) {
        hex_out[2 * i] = digits[digest->bytes[i] >> 4];
        hex_out[2 * i + 1] = digits[digest->bytes[i] & 15];
    }
    hex_out[DIGEST_HEX_BYTES - 1] = '\0';
}

uint64_t digest_chunk_count(uint64_t shard_bytes)
{
    return shard_bytes == 0 ? 1 : (shard_bytes - 1) / CKPT_CHUNK_BYTES + 1;
}

uint64_t digest_chunk_bytes(uint64_t chunk_index, uint64_t shard_bytes)
{
    uint64_t left;

    if (chunk_index >= digest_chunk_count(shard_bytes)) {
        return 0;
    }
    left = shard_bytes - chunk_index * CKPT_CHUNK_BYTES;
    return left < CKPT_CHUNK_BYTES ? left : CKPT_CHUNK_BYTES;
}

enum ckpt_status digest_chunk(const struct digest_engine *engine, const void *data, size_t bytes,
                              uint64_t chunk_index, uint64_t shard_bytes,
                              uint8_t cv_out[DIGEST_CV_BYTES])
{
    uint64_t chunk_count = digest_chunk_count(shard_bytes);

    if (chunk_index >= chunk_count || bytes != digest_chunk_bytes(chunk_index, shard_bytes)) {
        return CKPT_ERR_SIZE;
    }
    tree_subtree(engine, data, bytes, chunk_index << CHUNK_LEVEL,
                 chunk_count == 1 ? BLAKE3_ROOT : 0, cv_out);
    return CKPT_OK;
}

enum ckpt_status digest_fold(const uint8_t *cvs, uint64_t chunk_count, uint64_t shard_bytes,
                             struct digest *digest_out)
{
    uint8_t spine_cvs[DIGEST_SPINE_DEPTH][DIGEST_CV_BYTES];
    struct tree_spine spine = {.cvs = spine_cvs};
    const struct digest_engine *engine = digest_engine_widest();
    uint8_t group[FOLD_CHUNKS * DIGEST_CV_BYTES];

    if (chunk_count != digest_chunk_count(shard_bytes)) {
        return CKPT_ERR_SIZE;
    }
    for (; chunk_count > FOLD_CHUNKS; chunk_count -= FOLD_CHUNKS, cvs += sizeof(group)) {
        memcpy(group, cvs, sizeof(group));
        tree_join(engine, group, FOLD_CHUNKS, 0);
        tree_spine_push(&spine, CHUNK_LEVEL + FOLD_LEVEL, group);
    }
    for (; chunk_count > 1; chunk_count--, cvs += DIGEST_CV_BYTES) {
        tree_spine_push(&spine, CHUNK_LEVEL, cvs);
    }
    tree_spine_root(&spine, cvs, digest_out);
    return CKPT_OK;
}

void digest_bytes(const struct digest_engine *engine, const void *data, size_t bytes,
                  struct digest *digest_out)
{
    uint8_t spine_cvs[DIGEST_SPINE_DEPTH][DIGEST_CV_BYTES];
    struct tree_spine spine = {.cvs = spine_cvs};
    const uint8_t *next = data;
    uint8_t cv[DIGEST_CV_BYTES];

    for (; bytes > CKPT_CHUNK_BYTES; bytes -= CKPT_CHUNK_BYTES, next += CKPT_CHUNK_BYTES) {
        tree_subtree(engine, next, CKPT_CHUNK_BYTES, spine.leaves, 0, cv);
        tree_spine_push(&spine, CHUNK_LEVEL, cv);
    }
    tree_subtree(engine, next, bytes, spine.leaves, spine.leaves == 0 ? BLAKE3_ROOT : 0, cv);
    tree_spine_root(&spine, cv, digest_out);
}
