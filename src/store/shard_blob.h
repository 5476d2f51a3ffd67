/* SPDX-License-Identifier: Apache-2.0 */
/* The shards of one commit as bytes: sizes and digests, then which nodes held them. docs/formats.md
 * has the layout. Pure; any thread. */
#ifndef CKPT_STORE_SHARD_BLOB_H
#define CKPT_STORE_SHARD_BLOB_H

#include "store/store.h"

/* The shards of a RECORD_CONSISTENT, in memory that the caller frees; NULL: there is none. */
uint8_t *shard_blob_encode(const struct store_transaction *transaction,
                           const struct coordinator_record *record, size_t *bytes_out);

/* Reads them into shards_out, world of them; false when the bytes are not what was written. */
bool shard_blob_decode(const uint8_t *blob, size_t bytes, uint32_t world,
                       struct coordinator_record_shard *shards_out);

#endif
