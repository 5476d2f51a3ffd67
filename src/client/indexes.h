/* SPDX-License-Identifier: Apache-2.0 */
/* The indexes of shards: read from their headers, and kept for those that read more of the same. */
#ifndef CKPT_CLIENT_INDEXES_H
#define CKPT_CLIENT_INDEXES_H

#include <stdint.h>

#include "client/context.h"
#include "client/loan.h"
#include "shard/shard.h"

/* How many bytes the header of a shard takes, which begins with these 8. CKPT_ERR_CORRUPT. */
enum ckpt_status client_index_size(struct ckpt *ckpt, const uint8_t first_bytes[8],
                                   uint64_t shard_bytes, uint64_t *header_bytes_out);

/* The index of a shard, of which the whole header lies at prefix. CKPT_ERR_CORRUPT,
 * CKPT_ERR_MEMORY. */
enum ckpt_status client_index_read(struct ckpt *ckpt, const void *prefix, uint64_t header_bytes,
                                   uint64_t shard_bytes, struct shard_index **index_out);

/* The kept index of a rank's shard of a step; NULL: none is. Only what is lent tells whether it is
 * that shard's still: client_index_is_of(). Good until the next is kept. */
struct client_index *client_index_find(struct ckpt *ckpt, uint64_t step, uint32_t rank);

/* Whether it is the index of the shard that is lent: of the same start, with the same digest. */
bool client_index_is_of(const struct client_index *kept, const struct client_loan *loan);

/* Keeps the index, which is its own from now on, of what is lent; the one that was not used for
 * longest goes for it. */
struct client_index *client_index_keep(struct ckpt *ckpt, const struct client_loan *loan,
                                       struct shard_index *index);

void client_index_forget(struct client_index *kept);
void client_indexes_clear(struct ckpt *ckpt);

#endif
