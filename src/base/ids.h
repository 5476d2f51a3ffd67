/* SPDX-License-Identifier: Apache-2.0 */
/* Identities that several rooms share. Pure; any thread. */
#ifndef CKPT_BASE_IDS_H
#define CKPT_BASE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INCARNATION_BYTES 16
#define INCARNATION_HEX_SIZE (2 * INCARNATION_BYTES + 1)

/* The random id of one life of an agent. All zeros means "none". */
struct incarnation {
    uint8_t bytes[INCARNATION_BYTES];
};

bool incarnation_equal(const struct incarnation *a, const struct incarnation *b);
bool incarnation_is_zero(const struct incarnation *incarnation);

/* Writes 32 lower-case hex digits and a NUL. */
void incarnation_hex(const struct incarnation *incarnation, char hex_out[INCARNATION_HEX_SIZE]);

/* A random number that names something no number of a caller's can: one start of a job's ranks, one
 * process that takes a rank's place in it, a cluster. All zeros means "none". */
#define NONCE_BYTES 16
#define NONCE_HEX_SIZE (2 * NONCE_BYTES + 1)

struct nonce {
    uint8_t bytes[NONCE_BYTES];
};

bool nonce_equal(const struct nonce *a, const struct nonce *b);
bool nonce_is_zero(const struct nonce *nonce);
/* Writes 32 lower-case hex digits and a NUL. */
void nonce_hex(const struct nonce *nonce, char hex_out[NONCE_HEX_SIZE]);
/* Reads what nonce_hex() wrote. False, and *nonce_out untouched: it is not that, or all zeros. */
bool nonce_from_hex(const char *hex, struct nonce *nonce_out);

/* Whether name may name a run, a node, a failure domain or a tensor: 1 to name_max characters of
 * [A-Za-z0-9._/-]. Names become paths when a shard is exported or drained, so a name has no leading
 * '/', no trailing '/', and no component that is empty, "." or "..".
 *
 * Reads at most name_max + 1 bytes of name, which ends with a NUL within them or is too long. */
bool name_is_valid(const char *name, size_t name_max);

#endif
