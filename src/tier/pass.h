/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over a shard's bytes that gives all that is to be known of them: BLAKE3, and the digest
 * of the run's kind and key. */
#ifndef CKPT_TIER_PASS_H
#define CKPT_TIER_PASS_H

#include "digest/fingerprint.h"
#include "tier/tier.h"

struct pass {
    const struct digest_engine *engine;
    uint64_t bytes; /* of the shard */
    uint64_t chunks;
    struct digest_stream blake3;
    struct fingerprint_key key;
    uint8_t *values; /* of the fingerprint; NULL: BLAKE3 is the proof */
};

/* False: no memory. To be ended in either case. */
bool pass_begin(struct pass *pass, const struct digest_engine *engine,
                const struct tier_shard_source *source);

/* The next chunk: CKPT_CHUNK_BYTES, fewer in the last. */
void pass_chunk(struct pass *pass, const void *data, size_t bytes);

/* After all of them. */
void pass_final(const struct pass *pass, struct digest *blake3_out, struct digest *proof_out);

/* Frees what it holds, and forgets the key. */
void pass_end(struct pass *pass);

#endif
