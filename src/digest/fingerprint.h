/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fingerprint of a shard: a value that two holders get from equal bytes and, whatever went
 * wrong between them, not from unequal ones.
 *
 * It is no name for the bytes (that is BLAKE3's part, digest.h) but a universal hash under a random
 * key. Whoever makes or moves the bytes does not know the key, so the chance that two different
 * shards have one fingerprint is below 2^-91 for any pair of them, proven, not believed
 * (docs/digest.md has the bound and its terms):
 *
 *     each message of 1 KiB  -> NH, four passes: 32 bytes
 *     all of a chunk of 1 MiB -> Poly1305's polynomial over them: the chunk's value, 16 bytes
 *     all chunks of a shard  -> BLAKE3 over (length, values in order): the fingerprint, 32 bytes
 *
 * A chunk's value depends on its bytes alone, not on its place: chunks are proven by any thread, in
 * any order, and one chunk alone against the shard's fingerprint when the other values are at hand.
 *
 * The key must stay with those that compare: whoever knows it, or sees chunk values of bytes of
 * their own choice, can make two shards with one fingerprint.
 *
 * Every function is pure: no allocation, no I/O, no lock, no state but its arguments. All may be
 * called from any number of threads at once. Stack use is below 24 KiB.
 *
 * Sources: "Adiantum: length-preserving encryption for entry-level processors" (Crowley, Biggers,
 * IACR ToSC 2018(4)), section 5 and appendix A for NH and its bound; RFC 8439, section 2.5, for
 * Poly1305; RFC 4418 (UMAC) for the family.
 */
#ifndef CKPT_DIGEST_FINGERPRINT_H
#define CKPT_DIGEST_FINGERPRINT_H

#include "digest/digest.h"
#include "digest/poly1305.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FINGERPRINT_SECRET_BYTES 32
#define FINGERPRINT_VALUE_BYTES 16
#define FINGERPRINT_KEY_WORDS 268 /* 256 of a message, and 4 more for each further pass */

/* A key made ready for use; the fields are private. Copies are as good; nothing is freed. What
 * names it is digest_key_id() of key.h. */
struct fingerprint_key {
    /* NH's words. Those of each unit of 16 bytes lie in the order 0, 2, 1, 3: see nh.h. */
    uint32_t words[FINGERPRINT_KEY_WORDS];
    struct poly1305_key poly;
};

/* Makes a key of 32 random bytes. NH's words and Poly1305's r are derived from them with BLAKE3's
 * key derivation, each with a context of its own, as the key's id is. */
void fingerprint_key_derive(const uint8_t secret[FINGERPRINT_SECRET_BYTES],
                            struct fingerprint_key *key_out);

/*
 * fingerprint_chunk() computes the value of one chunk, 0 to CKPT_CHUNK_BYTES bytes of any
 * alignment, which are read once. Bytes up to a multiple of 16 count as zeros: the shard's length
 * is in fingerprint_fold(). Up to 8 KiB past the end are prefetched, never read.
 *
 * RETURN VALUE
 * CKPT_OK, and value_out holds the value. It is untouched otherwise.
 *
 * ERRORS
 * - CKPT_ERR_SIZE - bytes is more than a chunk
 */
enum ckpt_status fingerprint_chunk(const struct digest_engine *engine,
                                   const struct fingerprint_key *key, const void *data,
                                   size_t bytes, uint8_t value_out[FINGERPRINT_VALUE_BYTES]);

/*
 * fingerprint_fold() computes the fingerprint from the chunks' values: chunk_count entries of 16
 * bytes, contiguous, in the order of the chunks, of any alignment.
 *
 * RETURN VALUE
 * CKPT_OK, and *fingerprint_out holds it. It is untouched otherwise.
 *
 * ERRORS
 * - CKPT_ERR_SIZE - chunk_count is not digest_chunk_count(shard_bytes)
 */
enum ckpt_status fingerprint_fold(const uint8_t *values, uint64_t chunk_count, uint64_t shard_bytes,
                                  struct digest *fingerprint_out);

/* The fingerprint of bytes at data, on the calling thread. data may be NULL when bytes is 0. */
void fingerprint_bytes(const struct digest_engine *engine, const struct fingerprint_key *key,
                       const void *data, size_t bytes, struct digest *fingerprint_out);

#ifdef __cplusplus
}
#endif

#endif
