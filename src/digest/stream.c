/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The digest of pieces of any length. Whatever is digested has input after it, so that none of it
 * is the root: the last bytes always stay in the gathered ones. Large pieces are cut into the
 * largest subtrees that their place allows, and digested where they lie.
 */
#include <string.h>

#include "base/limits.h"
#include "digest/tree.h"

void digest_stream_init(struct digest_stream *stream, const struct digest_engine *engine)
{
    stream->engine = engine;
    stream->leaves = 0;
    stream->cv_count = 0;
    stream->gathered_bytes = 0;
}

/* The largest power of two of leaves that begins where the stream stands, is a chunk at most and
 * leaves at least one byte over. */
static unsigned subtree_level(const struct digest_stream *stream, size_t bytes)
{
    unsigned level = 0;

    while ((stream->leaves >> level) % 2 == 0 &&
           (size_t)BLAKE3_LEAF_BYTES << (level + 1) <= CKPT_CHUNK_BYTES &&
           (size_t)BLAKE3_LEAF_BYTES << (level + 1) < bytes) {
        level++;
    }
    return level;
}

/* Digests 2^level leaves at data, which more input follows. */
static void absorb(struct digest_stream *stream, const uint8_t *data, unsigned level)
{
    struct tree_spine spine = {
        .cvs = stream->cvs, .count = stream->cv_count, .leaves = stream->leaves};
    uint8_t cv[DIGEST_CV_BYTES];

    tree_subtree(stream->engine, data, (size_t)BLAKE3_LEAF_BYTES << level, stream->leaves, 0, cv);
    tree_spine_push(&spine, level, cv);
    stream->cv_count = spine.count;
    stream->leaves = spine.leaves;
}

void digest_stream_update(struct digest_stream *stream, const void *data, size_t bytes)
{
    const uint8_t *next = data;

    while (bytes > 0) {
        size_t room = DIGEST_STREAM_BYTES - stream->gathered_bytes;
        size_t taken = bytes < room ? bytes : room;

        if (room == 0) {
            absorb(stream, stream->gathered, 4);
            stream->gathered_bytes = 0;
            continue;
        }
        if (stream->gathered_bytes == 0 && bytes > DIGEST_STREAM_BYTES) {
            unsigned level = subtree_level(stream, bytes);

            absorb(stream, next, level);
            taken = (size_t)BLAKE3_LEAF_BYTES << level;
        } else {
            memcpy(stream->gathered + stream->gathered_bytes, next, taken);
            stream->gathered_bytes += (uint32_t)taken;
        }
        next += taken;
        bytes -= taken;
    }
}

void digest_stream_final(const struct digest_stream *stream, struct digest *digest_out)
{
    struct tree_spine spine = {.count = stream->cv_count, .leaves = stream->leaves};
    uint8_t cvs[DIGEST_SPINE_DEPTH][DIGEST_CV_BYTES];
    uint8_t cv[DIGEST_CV_BYTES];

    spine.cvs = cvs;
    memcpy(cvs, stream->cvs, sizeof(cvs));
    tree_subtree(stream->engine, stream->gathered, stream->gathered_bytes, stream->leaves,
                 stream->leaves == 0 ? BLAKE3_ROOT : 0, cv);
    tree_spine_root(&spine, cv, digest_out);
}
