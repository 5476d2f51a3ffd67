/* SPDX-License-Identifier: Apache-2.0 */
#include "digest/fingerprint.h"

#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "digest/engine.h"
#include "digest/nh_scalar.h"
#include "digest/poly1305.h"

/* So many messages are hashed before the polynomial takes their hashes: these stay in the nearest
 * cache, and the loops do not wait for each other. */
#define BATCH_MESSAGES 16
#define BLOCKS_IN_HASH (NH_HASH_BYTES / POLY1305_BLOCK_BYTES)

_Static_assert(FINGERPRINT_SECRET_BYTES == DIGEST_SECRET_BYTES, "a secret is one block of BLAKE3");
_Static_assert(FINGERPRINT_KEY_WORDS == NH_MESSAGE_BYTES / 4 + (NH_PASSES - 1) * NH_UNIT_WORDS,
               "each pass begins one unit later");
_Static_assert(CKPT_CHUNK_BYTES % NH_MESSAGE_BYTES == 0, "only a shard's last message is short");

void fingerprint_key_derive(const uint8_t secret[FINGERPRINT_SECRET_BYTES],
                            struct fingerprint_key *key_out)
{
    static const uint8_t order[NH_UNIT_WORDS] = {0, 2, 1, 3};
    uint8_t bytes[4 * FINGERPRINT_KEY_WORDS], r[POLY1305_BLOCK_BYTES];

    digest_derive("ckptd fingerprint 1: NH", secret, bytes, sizeof(bytes));
    digest_derive("ckptd fingerprint 1: Poly1305", secret, r, sizeof(r));
    for (size_t i = 0; i < FINGERPRINT_KEY_WORDS; i++) {
        size_t unit = i / NH_UNIT_WORDS * NH_UNIT_WORDS;

        key_out->words[i] = load_le32(bytes + 4 * (unit + order[i % NH_UNIT_WORDS]));
    }
    poly1305_key_make(r, &key_out->poly);
}

enum ckpt_status fingerprint_chunk(const struct digest_engine *engine,
                                   const struct fingerprint_key *key, const void *data,
                                   size_t bytes, uint8_t value_out[FINGERPRINT_VALUE_BYTES])
{
    uint8_t hashes[BATCH_MESSAGES * NH_HASH_BYTES];
    size_t messages = bytes / NH_MESSAGE_BYTES;
    size_t rest = bytes % NH_MESSAGE_BYTES;
    const uint8_t *next = data;
    uint64_t sum[3] = {0};

    if (bytes > CKPT_CHUNK_BYTES) {
        return CKPT_ERR_SIZE;
    }
    while (messages > 0) {
        size_t count = messages < BATCH_MESSAGES ? messages : BATCH_MESSAGES;

        engine->nh(key->words, next, count, hashes);
        poly1305_blocks(sum, &key->poly, engine->sixteen, hashes, count * BLOCKS_IN_HASH);
        next += count * NH_MESSAGE_BYTES;
        messages -= count;
    }
    if (rest > 0) {
        nh_short_message(key->words, next, rest, hashes);
        poly1305_blocks(sum, &key->poly, engine->sixteen, hashes, BLOCKS_IN_HASH);
    }
    poly1305_emit(sum, value_out);
    return CKPT_OK;
}

/* What the values of a shard are folded into. */
static void fold_begin(struct digest_stream *stream, uint64_t shard_bytes)
{
    uint8_t length[8];

    store_le64(length, shard_bytes);
    digest_stream_init(stream, digest_engine_widest());
    digest_stream_update(stream, length, sizeof(length));
}

enum ckpt_status fingerprint_fold(const uint8_t *values, uint64_t chunk_count, uint64_t shard_bytes,
                                  struct digest *fingerprint_out)
{
    struct digest_stream stream;

    if (chunk_count != digest_chunk_count(shard_bytes)) {
        return CKPT_ERR_SIZE;
    }
    fold_begin(&stream, shard_bytes);
    digest_stream_update(&stream, values, chunk_count * FINGERPRINT_VALUE_BYTES);
    digest_stream_final(&stream, fingerprint_out);
    return CKPT_OK;
}

void fingerprint_bytes(const struct digest_engine *engine, const struct fingerprint_key *key,
                       const void *data, size_t bytes, struct digest *fingerprint_out)
{
    uint64_t count = digest_chunk_count(bytes);
    const uint8_t *next = data;
    struct digest_stream stream;

    fold_begin(&stream, bytes);
    for (uint64_t i = 0; i < count; i++) {
        size_t taken = (size_t)digest_chunk_bytes(i, bytes);
        uint8_t value[FINGERPRINT_VALUE_BYTES];

        (void)fingerprint_chunk(engine, key, next, taken, value); /* takes any chunk */
        digest_stream_update(&stream, value, sizeof(value));
        if (i + 1 < count) {
            next += CKPT_CHUNK_BYTES;
        }
    }
    digest_stream_final(&stream, fingerprint_out);
}
