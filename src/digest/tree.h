/* SPDX-License-Identifier: Apache-2.0 */
/* The tree above the leaves (section 2.3 of the BLAKE3 paper). */
#ifndef CKPT_DIGEST_TREE_H
#define CKPT_DIGEST_TREE_H

#include "digest/engine.h"

/* The most leaves that one call of tree_subtree() takes: those of a chunk. */
#define TREE_LEAVES_MAX 1024

/*
 * The value of the tree over bytes, 0 to TREE_LEAVES_MAX leaves of them, that begin at leaf
 * leaf_index of their input. flags is BLAKE3_ROOT when they are the whole input, or 0.
 */
void tree_subtree(const struct digest_engine *engine, const uint8_t *data, size_t bytes,
                  uint64_t leaf_index, uint32_t flags, uint8_t *cv_out);

/* The value of the tree over count chaining values, two or more, to the first 32 bytes of cvs. The
 * rest of them are overwritten. flags is BLAKE3_ROOT when they are the whole input, or 0. */
void tree_join(const struct digest_engine *engine, uint8_t *cvs, size_t count, uint32_t flags);

/*
 * The spine holds the subtrees on the left of where the input stands, largest first: one for each
 * bit set in the number of leaves. It is merged eagerly, so tree_spine_push() may only be called
 * when more input follows, as the root is compressed with another flag.
 *
 * cvs has room for DIGEST_SPINE_DEPTH values, which is enough for 2^64 - 1 bytes.
 */
struct tree_spine {
    uint8_t (*cvs)[DIGEST_CV_BYTES];
    uint32_t count;
    uint64_t leaves;
};

/* Adds a subtree of 2^level leaves at a multiple of that. */
void tree_spine_push(struct tree_spine *spine, unsigned level, const uint8_t *cv);

/* The root, from the spine and the value of all the input that follows it. The spine is not
 * changed. With an empty spine the last value is the root: it was compressed with BLAKE3_ROOT. */
void tree_spine_root(const struct tree_spine *spine, const uint8_t *last,
                     struct digest *digest_out);

#endif
