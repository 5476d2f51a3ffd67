/* SPDX-License-Identifier: Apache-2.0 */
/* The indexes of shards: read from their headers, and kept for those that read more of the same. */
#include "client/indexes.h"

#include "base/reason.h"

enum ckpt_status client_index_size(struct ckpt *ckpt, const uint8_t first_bytes[8],
                                   uint64_t shard_bytes, uint64_t *header_bytes_out)
{
    if (shard_bytes >= 8 &&
        shard_header_size(first_bytes, shard_bytes, header_bytes_out) == CKPT_OK) {
        return CKPT_OK;
    }
    return reason_refuse(ckpt->reason, CKPT_ERR_CORRUPT,
                         "the shard is no safetensors file: it ends before its header does");
}

enum ckpt_status client_index_read(struct ckpt *ckpt, const void *prefix, uint64_t header_bytes,
                                   uint64_t shard_bytes, struct shard_index **index_out)
{
    char reason[CKPT_REASON_MAX + 1];
    enum ckpt_status status =
        shard_index_new(prefix, header_bytes, shard_bytes, index_out, reason, sizeof(reason));
    if (status == CKPT_OK) {
        return CKPT_OK;
    }
    return reason_refuse(ckpt->reason, status == CKPT_ERR_MEMORY ? status : CKPT_ERR_CORRUPT,
                         "the shard is no safetensors file: %.200s", reason);
}

struct client_index *client_index_find(struct ckpt *ckpt, uint64_t step, uint32_t rank)
{
    for (uint32_t i = 0; i < CLIENT_INDEXES_KEPT; i++) {
        struct client_index *kept = &ckpt->indexes[i];
        if (kept->index != NULL && kept->step == step && kept->rank == rank) {
            kept->used = ++ckpt->index_uses;
            return kept;
        }
    }
    return NULL;
}

bool client_index_is_of(const struct client_index *kept, const struct client_loan *loan)
{
    return kept->step == loan->step && kept->rank == loan->rank && kept->attempt == loan->attempt &&
           kept->shard_bytes == loan->shard_bytes && digest_equal(&kept->digest, &loan->digest);
}

struct client_index *client_index_keep(struct ckpt *ckpt, const struct client_loan *loan,
                                       struct shard_index *index)
{
    struct client_index *kept = client_index_find(ckpt, loan->step, loan->rank);
    for (uint32_t i = 0; kept == NULL && i < CLIENT_INDEXES_KEPT; i++) {
        kept = ckpt->indexes[i].index == NULL ? &ckpt->indexes[i] : NULL;
    }
    if (kept == NULL) {
        kept = &ckpt->indexes[0];
        for (uint32_t i = 1; i < CLIENT_INDEXES_KEPT; i++) {
            kept = ckpt->indexes[i].used < kept->used ? &ckpt->indexes[i] : kept;
        }
    }
    client_index_forget(kept);
    *kept = (struct client_index){
        .index = index,
        .step = loan->step,
        .rank = loan->rank,
        .attempt = loan->attempt,
        .shard_bytes = loan->shard_bytes,
        .digest = loan->digest,
        .used = ++ckpt->index_uses,
    };
    return kept;
}

void client_index_forget(struct client_index *kept)
{
    shard_index_delete(&kept->index);
}

void client_indexes_clear(struct ckpt *ckpt)
{
    for (uint32_t i = 0; i < CLIENT_INDEXES_KEPT; i++) {
        client_index_forget(&ckpt->indexes[i]);
    }
}
