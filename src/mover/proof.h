/* SPDX-License-Identifier: Apache-2.0 */
/* The proof of a shard's bytes as they lie in a slot: a value for each chunk, by any thread in any
 * order, and the digest that they are folded into. By BLAKE3, or by the fingerprint of a key. */
#ifndef CKPT_MOVER_PROOF_H
#define CKPT_MOVER_PROOF_H

#include "digest/fingerprint.h"
#include "digest/key.h"

struct proof {
    uint64_t bytes; /* of the shard */
    uint64_t chunk_count;
    uint8_t *values;             /* of all chunks, in their order */
    struct fingerprint_key *key; /* NULL: by BLAKE3 */
    uint64_t key_id;
};

/* False: no memory. To be ended in either case. */
bool proof_begin(struct proof *proof, const struct digest_key *key, uint64_t bytes);

/* The value of a chunk, whose bytes are at data now. Of different chunks: any threads at once.
 * CKPT_ERR_SIZE: there is no such chunk. */
enum ckpt_status proof_chunk(struct proof *proof, const struct digest_engine *engine,
                             const uint8_t *data, uint64_t chunk);

/* When all chunks have theirs. */
enum ckpt_status proof_fold(const struct proof *proof, struct digest *digest_out);

/* Frees what it holds, and forgets the key. */
void proof_end(struct proof *proof);

#endif
