/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BLAKE3-256 of a shard, chunk by chunk, in any order.
 *
 * The digest of a shard is the plain BLAKE3 hash of its bytes: `b3sum` of the exported file prints
 * the same. BLAKE3 is a binary tree over leaves of 1 KiB (its paper calls them chunks). Our chunk
 * of 1 MiB is 1024 leaves, that is a whole subtree, so its chaining value depends only on its bytes
 * and its place. Chunks are therefore digested as they land, by any thread, in any order:
 *
 *     digest_chunk() for each chunk -> an array of 32-byte chaining values -> digest_fold()
 *
 * digest_bytes() does both over memory, struct digest_stream over pieces of any length.
 *
 * Every function is pure: no allocation, no I/O, no lock, no state but its arguments. All may be
 * called from any number of threads at once; a struct digest_stream is used by one at a time.
 * Stack use is bounded: 40 KiB below what reads data, 16 KiB below digest_fold().
 *
 * Source: "BLAKE3: one function, fast everywhere" (O'Connor, Aumasson, Neves, Wilcox-O'Hearn),
 * version 20211102, sections 2.1 to 2.5. docs/digest.md says how it is made fast.
 */
#ifndef CKPT_DIGEST_DIGEST_H
#define CKPT_DIGEST_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <ckpt/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DIGEST_CV_BYTES 32        /* a chaining value: of a leaf, of a chunk, or the root */
#define DIGEST_HEX_BYTES 65       /* 64 lower-case digits and the NUL */
#define DIGEST_SPINE_DEPTH 54     /* levels of the tree over 2^64 bytes of 1 KiB leaves */
#define DIGEST_STREAM_BYTES 16384 /* the widest engine's leaves */

struct digest {
    uint8_t bytes[DIGEST_CV_BYTES];
};

/* Writes 64 lower-case hexadecimal digits and a NUL, as b3sum prints them. */
void digest_hex(const struct digest *digest, char hex_out[DIGEST_HEX_BYTES]);

/* True when both are the same 32 bytes. */
static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/*
 * An engine is one implementation of the inner loops. All give the same bytes. The table behind the
 * pointer is static and constant: it is never freed and may be compared by address.
 */
struct digest_engine;

/* The one that every CPU runs: for who may not ask which CPU it is. */
const struct digest_engine *digest_engine_plain(void);

/* How many engines this build has, and the i-th, from the narrowest ("scalar") to the widest. NULL
 * when i is out of range. Those this CPU cannot run are in the list too. */
size_t digest_engine_count(void);
const struct digest_engine *digest_engine_at(size_t i);

/* "scalar", "sse41", "avx2", "avx512" or "neon". */
const char *digest_engine_name(const struct digest_engine *engine);

/* The engine of that name, or NULL when this build has none. It may be one this CPU cannot run. */
const struct digest_engine *digest_engine_by_name(const char *name);

/* True when this CPU, and the operating system's saving of its registers, can run the engine. */
bool digest_engine_supported(const struct digest_engine *engine);

/*
 * digest_engine_select() chooses an engine: the named one, or with NULL the widest this CPU runs.
 *
 * RETURN VALUE
 * CKPT_OK, and *engine_out is an engine that this CPU runs. NULL never fails.
 *
 * ERRORS
 * - CKPT_ERR_NOT_FOUND - this build has no engine of that name
 * - CKPT_ERR_CONFIG - this CPU cannot run the engine of that name
 */
enum ckpt_status digest_engine_select(const char *name, const struct digest_engine **engine_out);

/* How many chunks a shard of that many bytes has: at least one, as an empty shard has a digest. */
uint64_t digest_chunk_count(uint64_t shard_bytes);

/* How many bytes chunk chunk_index of the shard has: CKPT_CHUNK_BYTES, fewer in the last, and 0
 * in the only chunk of an empty shard or past the end. */
uint64_t digest_chunk_bytes(uint64_t chunk_index, uint64_t shard_bytes);

/*
 * digest_chunk() computes the chaining value of one chunk at its place in its shard. data may have
 * any alignment; it is read once. Takes about 0.2 ms a chunk on one core.
 *
 * Where the shard is one chunk, the chaining value is the root already.
 *
 * RETURN VALUE
 * CKPT_OK, and cv_out holds the value. It is untouched otherwise.
 *
 * ERRORS
 * - CKPT_ERR_SIZE - chunk_index is past the shard's end, or bytes is not what
 *   digest_chunk_bytes() says
 */
enum ckpt_status digest_chunk(const struct digest_engine *engine, const void *data, size_t bytes,
                              uint64_t chunk_index, uint64_t shard_bytes,
                              uint8_t cv_out[DIGEST_CV_BYTES]);

/*
 * digest_fold() computes the root over the chunks' chaining values: chunk_count entries of 32
 * bytes, contiguous, in the order of the chunks. cvs may have any alignment.
 *
 * RETURN VALUE
 * CKPT_OK, and *digest_out is the BLAKE3 hash of the shard. It is untouched otherwise.
 *
 * ERRORS
 * - CKPT_ERR_SIZE - chunk_count is not digest_chunk_count(shard_bytes)
 */
enum ckpt_status digest_fold(const uint8_t *cvs, uint64_t chunk_count, uint64_t shard_bytes,
                             struct digest *digest_out);

/* The BLAKE3 hash of bytes at data, on the calling thread. data may be NULL when bytes is 0. */
void digest_bytes(const struct digest_engine *engine, const void *data, size_t bytes,
                  struct digest *digest_out);

/*
 * The same over pieces of any length. The fields are private; the struct may be on the stack (18
 * KiB), copied, or thrown away at any point. Pieces of 32 KiB and more are digested where they lie;
 * shorter ones are gathered in the struct first.
 */
struct digest_stream {
    const struct digest_engine *engine;
    uint64_t leaves; /* digested so far; what is in gathered comes on top */
    uint32_t cv_count;
    uint32_t gathered_bytes;
    uint8_t cvs[DIGEST_SPINE_DEPTH][DIGEST_CV_BYTES];
    uint8_t gathered[DIGEST_STREAM_BYTES];
};

void digest_stream_init(struct digest_stream *stream, const struct digest_engine *engine);
void digest_stream_update(struct digest_stream *stream, const void *data, size_t bytes);

/* The hash of everything so far. The stream is not changed: more may be added afterwards. */
void digest_stream_final(const struct digest_stream *stream, struct digest *digest_out);

/*
 * digest_derive() is BLAKE3's key derivation: fills out with bytes that only who knows the secret
 * can know, and others for each context. The context is a constant of the program, 1 KiB of text at
 * most, which says what the bytes are for and is used nowhere else.
 */
#define DIGEST_SECRET_BYTES 32
void digest_derive(const char *context, const uint8_t secret[DIGEST_SECRET_BYTES], void *out,
                   size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
