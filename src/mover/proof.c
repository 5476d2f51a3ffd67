/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/proof.h"

#include <stdlib.h>
#include <string.h>

static size_t value_bytes(const struct proof *proof)
{
    return proof->key != NULL ? FINGERPRINT_VALUE_BYTES : DIGEST_CV_BYTES;
}

bool proof_begin(struct proof *proof, const struct digest_key *key, uint64_t bytes)
{
    *proof = (struct proof){
        .bytes = bytes, .chunk_count = digest_chunk_count(bytes), .key_id = digest_key_id(key)};
    if (key->kind == DIGEST_KIND_FINGERPRINT) {
        proof->key = malloc(sizeof *proof->key);
        if (proof->key == NULL) {
            return false;
        }
        fingerprint_key_derive(key->secret.bytes, proof->key);
    }
    proof->values = calloc(proof->chunk_count, value_bytes(proof));
    return proof->values != NULL;
}

enum ckpt_status proof_chunk(struct proof *proof, const struct digest_engine *engine,
                             const uint8_t *data, uint64_t chunk)
{
    size_t bytes = (size_t)digest_chunk_bytes(chunk, proof->bytes);
    uint8_t *value = proof->values + chunk * value_bytes(proof);
    if (chunk >= proof->chunk_count) {
        return CKPT_ERR_SIZE;
    }
    return proof->key != NULL ? fingerprint_chunk(engine, proof->key, data, bytes, value)
                              : digest_chunk(engine, data, bytes, chunk, proof->bytes, value);
}

enum ckpt_status proof_fold(const struct proof *proof, struct digest *digest_out)
{
    return proof->key != NULL
               ? fingerprint_fold(proof->values, proof->chunk_count, proof->bytes, digest_out)
               : digest_fold(proof->values, proof->chunk_count, proof->bytes, digest_out);
}

void proof_end(struct proof *proof)
{
    if (proof->key != NULL) {
        explicit_bzero(proof->key, sizeof *proof->key);
        free(proof->key);
    }
    free(proof->values);
    *proof = (struct proof){.bytes = 0};
}
