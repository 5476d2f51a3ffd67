/* SPDX-License-Identifier: Apache-2.0 */
/* What the tier knows of a shard as JSON: the row of a manifest, the body of a sidecar. Pure. */
#ifndef CKPT_TIER_ROW_H
#define CKPT_TIER_ROW_H

#include <jansson.h>

#include "tier/tier.h"

/* A new object; NULL: no memory. */
json_t *row_make(const struct tier_shard *shard);

/* Trusts nothing: all fields are there, of their types, within their limits, and agree with each
 * other. CKPT_ERR_CORRUPT. */
enum ckpt_status row_read(const json_t *object, struct tier_shard *shard_out, char *reason_out);

/* Fields of any object of the tier. False: missing, of another type, or out of range. */
bool row_number(const json_t *object, const char *field, uint64_t most, uint64_t *number_out);
bool row_digest(const json_t *object, const char *field, struct digest *digest_out);
json_t *row_digest_make(const struct digest *digest);

/* Parses the text of one object. CKPT_ERR_CORRUPT, with a line that begins with what. */
enum ckpt_status row_parse(const char *what, const char *text, size_t bytes, json_t **object_out,
                           char *reason_out);

/* Whose checkpoint it is: uid, run, step, attempt. */
bool row_put_key(json_t *object, const struct tier_checkpoint_key *key);
bool row_read_key(const json_t *object, struct tier_checkpoint_key *key_out);

#endif
