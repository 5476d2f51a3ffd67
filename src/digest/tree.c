/* SPDX-License-Identifier: Apache-2.0 */
#include "digest/tree.h"

#include <string.h>

#include "digest/scalar.h"

/* The left subtree of n leaves has the largest power of two below n of them. That is what comes of
 * joining neighbours level by level, with an odd one out at the right end carried up unchanged, so
 * each level is one call that an engine does in parallel. */
void tree_join(const struct digest_engine *engine, uint8_t *cvs, size_t count, uint32_t flags)
{
    while (count > 2) {
        size_t pairs = count / 2;

        engine->parents(cvs, pairs, cvs);
        if (count % 2 != 0) {
            memcpy(cvs + pairs * DIGEST_CV_BYTES, cvs + (count - 1) * DIGEST_CV_BYTES,
                   DIGEST_CV_BYTES);
        }
        count -= pairs;
    }
    digest_scalar_parent(cvs, flags, cvs);
}

void tree_subtree(const struct digest_engine *engine, const uint8_t *data, size_t bytes,
                  uint64_t leaf_index, uint32_t flags, uint8_t *cv_out)
{
    uint8_t cvs[TREE_LEAVES_MAX * DIGEST_CV_BYTES];
    size_t whole = bytes / BLAKE3_LEAF_BYTES;
    size_t rest = bytes % BLAKE3_LEAF_BYTES;

    if (bytes <= BLAKE3_LEAF_BYTES) {
        digest_scalar_leaf(data, bytes, leaf_index, flags, cv_out);
        return;
    }
    engine->leaves(data, whole, leaf_index, cvs);
    if (rest > 0) {
        digest_scalar_leaf(data + whole * BLAKE3_LEAF_BYTES, rest, leaf_index + whole, 0,
                           cvs + whole * DIGEST_CV_BYTES);
    }
    tree_join(engine, cvs, whole + (rest > 0), flags);
    memcpy(cv_out, cvs, DIGEST_CV_BYTES);
}

void tree_spine_push(struct tree_spine *spine, unsigned level, const uint8_t *cv)
{
    memcpy(spine->cvs[spine->count], cv, DIGEST_CV_BYTES);
    spine->leaves += UINT64_C(1) << level;
    /* Each carry of the sum closes a subtree. */
    for (uint64_t size = spine->leaves >> level; size % 2 == 0; size >>= 1) {
        spine->count--;
        digest_scalar_parent(spine->cvs[spine->count], 0, spine->cvs[spine->count]);
    }
    spine->count++;
}

void tree_spine_root(const struct tree_spine *spine, const uint8_t *last, struct digest *digest_out)
{
    uint8_t pair[2 * DIGEST_CV_BYTES];
    uint8_t *right = pair + DIGEST_CV_BYTES;

    memcpy(right, last, DIGEST_CV_BYTES);
    for (uint32_t i = spine->count; i-- > 0;) {
        memcpy(pair, spine->cvs[i], DIGEST_CV_BYTES);
        digest_scalar_parent(pair, i == 0 ? BLAKE3_ROOT : 0, right);
    }
    memcpy(digest_out->bytes, right, DIGEST_CV_BYTES);
}
