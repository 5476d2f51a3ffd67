/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What copies of a run's shards are proven with: BLAKE3, or the fingerprint under the run's key.
 *
 * The coordinator draws the key when a run first appears, keeps it in its records and tells agents;
 * a run keeps the kind and the key that it began with. Digests are compared only when their key ids
 * are equal: one of another key, or kind, is unknown, never different.
 *
 * The secret is for the daemons alone: it is given to no rank, printed and logged by nobody.
 */
#ifndef CKPT_DIGEST_KEY_H
#define CKPT_DIGEST_KEY_H

#include "digest/digest.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers are on the wire, on record and in the public header. */
enum digest_kind {
    DIGEST_KIND_UNKNOWN = 0, /* not told, or told by who knows BLAKE3 alone */
    DIGEST_KIND_BLAKE3 = 1,
    DIGEST_KIND_FINGERPRINT = 2,
};

/* The 32 bytes that a fingerprint's key is made of; zeros for BLAKE3. */
struct digest_secret {
    uint8_t bytes[DIGEST_SECRET_BYTES];
};

struct digest_key {
    enum digest_kind kind;
    struct digest_secret secret;
};

#define DIGEST_KEY_ID_BLAKE3 0

/* Names the key and tells nothing about it: DIGEST_KEY_ID_BLAKE3 but for a fingerprint's. Costs one
 * block of BLAKE3 for the latter: keep it rather than ask twice. */
uint64_t digest_key_id(const struct digest_key *key);

/* "unknown", "blake3" or "fingerprint". */
const char *digest_kind_name(enum digest_kind kind);

#ifdef __cplusplus
}
#endif

#endif
