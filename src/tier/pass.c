/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/pass.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool pass_begin(struct pass *pass, const struct digest_engine *engine,
                const struct tier_shard_source *source)
{
    memset(pass, 0, sizeof(*pass));
    pass->engine = engine;
    pass->bytes = source->bytes;
    digest_stream_init(&pass->blake3, engine);
    if (source->committed == NULL || source->key.kind != DIGEST_KIND_FINGERPRINT) {
        return true;
    }
    fingerprint_key_derive(source->key.secret.bytes, &pass->key);
    pass->values = malloc(digest_chunk_count(source->bytes) * FINGERPRINT_VALUE_BYTES);
    return pass->values != NULL;
}

void pass_chunk(struct pass *pass, const void *data, size_t bytes)
{
    assert(bytes == digest_chunk_bytes(pass->chunks, pass->bytes));
    digest_stream_update(&pass->blake3, data, bytes);
    if (pass->values != NULL) {
        (void)fingerprint_chunk(pass->engine, &pass->key, data, bytes,
                                pass->values + pass->chunks * FINGERPRINT_VALUE_BYTES);
    }
    pass->chunks++;
}

void pass_final(const struct pass *pass, struct digest *blake3_out, struct digest *proof_out)
{
    assert(pass->chunks == digest_chunk_count(pass->bytes));
    digest_stream_final(&pass->blake3, blake3_out);
    *proof_out = *blake3_out;
    if (pass->values != NULL) {
        (void)fingerprint_fold(pass->values, pass->chunks, pass->bytes, proof_out);
    }
}

void pass_end(struct pass *pass)
{
    free(pass->values);
    explicit_bzero(pass, sizeof(*pass));
}
