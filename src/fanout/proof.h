/* SPDX-License-Identifier: Apache-2.0 */
/* What a receiver proves a piece by: values of its chunks that the sender computes from the memory
 * that its agent has proven, and that come by another way than the bytes.
 *
 * Of a run that is proven with BLAKE3 they are its chaining values, and all of them together give
 * the digest of the commit. Of one that is proven with fingerprints they are fingerprints too, but
 * under a key that is drawn for this one fan-out, as the run's never leaves the daemons: nothing
 * ties them to the commit but the sender's word. docs/fanout.md says what that finds.
 *
 * Pure; any thread. */
#ifndef CKPT_FANOUT_PROOF_H
#define CKPT_FANOUT_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest/digest.h"
#include "digest/fingerprint.h"
#include "digest/key.h"
#include "fanout/plan.h"

#define PROOF_VALUE_BYTES_MAX DIGEST_CV_BYTES
#define PROOF_PIECE_VALUES_MAX (FANOUT_PIECE_BYTES_MAX / CKPT_CHUNK_BYTES * PROOF_VALUE_BYTES_MAX)

struct fanout_proof {
    enum digest_kind kind;
    uint64_t bytes; /* of the shard */
    const struct digest_engine *engine;
    struct fingerprint_key key; /* of fingerprints */
};

/* secret is drawn for this fan-out; BLAKE3 has no use for it. */
void proof_make(struct fanout_proof *proof, enum digest_kind kind, uint64_t bytes,
                const uint8_t secret[FINGERPRINT_SECRET_BYTES]);

/* How much room the values of a piece need. */
size_t proof_values_bytes(const struct fanout_proof *proof, uint64_t piece_bytes);

/* The values of a piece at its place; data are its bytes. */
void proof_values(const struct fanout_proof *proof, const struct fanout_piece *piece,
                  const void *data, uint8_t *values_out);

/* Whether all values of the shard, in order, give the digest of its commit. Always so for
 * fingerprints, which are of another key. */
bool proof_is_of(const struct fanout_proof *proof, const uint8_t *values,
                 const struct digest *digest);

#endif
