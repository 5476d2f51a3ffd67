/* SPDX-License-Identifier: Apache-2.0 */
#include "fanout/proof.h"

#include <assert.h>
#include <string.h>

void proof_make(struct fanout_proof *proof, enum digest_kind kind, uint64_t bytes,
                const uint8_t secret[FINGERPRINT_SECRET_BYTES])
{
    memset(proof, 0, sizeof(*proof));
    proof->kind = kind;
    proof->bytes = bytes;
    (void)digest_engine_select(NULL, &proof->engine);
    if (kind == DIGEST_KIND_FINGERPRINT) {
        fingerprint_key_derive(secret, &proof->key);
    }
}

static size_t value_bytes(const struct fanout_proof *proof)
{
    return proof->kind == DIGEST_KIND_BLAKE3 ? DIGEST_CV_BYTES : FINGERPRINT_VALUE_BYTES;
}

size_t proof_values_bytes(const struct fanout_proof *proof, uint64_t piece_bytes)
{
    return (size_t)digest_chunk_count(piece_bytes) * value_bytes(proof);
}

void proof_values(const struct fanout_proof *proof, const struct fanout_piece *piece,
                  const void *data, uint8_t *values_out)
{
    const uint8_t *at = data;
    uint64_t chunk = piece->offset / CKPT_CHUNK_BYTES;
    assert(piece->offset % CKPT_CHUNK_BYTES == 0);
    for (uint64_t done = 0; done < piece->bytes; done += CKPT_CHUNK_BYTES, chunk++) {
        uint64_t left = piece->bytes - done;
        size_t bytes = (size_t)(left < CKPT_CHUNK_BYTES ? left : CKPT_CHUNK_BYTES);
        enum ckpt_status status =
            proof->kind == DIGEST_KIND_BLAKE3
                ? digest_chunk(proof->engine, at + done, bytes, chunk, proof->bytes, values_out)
                : fingerprint_chunk(proof->engine, &proof->key, at + done, bytes, values_out);
        assert(status == CKPT_OK);
        (void)status;
        values_out += value_bytes(proof);
    }
}

bool proof_is_of(const struct fanout_proof *proof, const uint8_t *values,
                 const struct digest *digest)
{
    struct digest root;
    if (proof->kind != DIGEST_KIND_BLAKE3) {
        return true;
    }
    return digest_fold(values, digest_chunk_count(proof->bytes), proof->bytes, &root) == CKPT_OK &&
           digest_equal(&root, digest);
}
