/* SPDX-License-Identifier: Apache-2.0 */
/* A load: lent by the agent, its index read, given back. */
#include "client/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "client/indexes.h"
#include "client/loaded.h"
#include "client/loan.h"

static enum ckpt_status read_index(struct ckpt *ckpt, const struct client_loan *loan,
                                   struct shard_index **index_out)
{
    uint64_t header_bytes;
    enum ckpt_status status =
        client_index_size(ckpt, loan->view.address, loan->shard_bytes, &header_bytes);
    if (status != CKPT_OK) {
        return status;
    }
    return client_index_read(ckpt, loan->view.address, header_bytes, loan->shard_bytes, index_out);
}

enum ckpt_status client_loaded_keep(struct ckpt *ckpt, struct client_loan *loan,
                                    struct ckpt_shard *shard_out)
{
    struct loaded *loaded = calloc(1, sizeof(*loaded));
    if (loaded == NULL) {
        client_loan_return(ckpt, loan);
        return reason_refuse(ckpt->reason, CKPT_ERR_MEMORY,
                             "no memory for the record of a loaded shard");
    }
    enum ckpt_status status = read_index(ckpt, loan, &loaded->index);
    if (status != CKPT_OK) {
        free(loaded);
        client_loan_return(ckpt, loan);
        return status;
    }
    loaded->loan = *loan;
    loaded->next = ckpt->loaded;
    ckpt->loaded = loaded;
    *shard_out = (struct ckpt_shard){
        .step = loan->step,
        .attempt = loan->attempt,
        .rank = loan->rank,
        .world = loan->world,
        .digest_kind = loan->digest_kind,
        .data = loan->view.address,
        .bytes = loan->shard_bytes,
        .tensor_count = shard_index_count(loaded->index),
        .private_state = loaded,
    };
    memcpy(shard_out->digest, loan->digest.bytes, sizeof(shard_out->digest));
    return CKPT_OK;
}

static enum ckpt_status load(struct ckpt *ckpt, const struct message_load_ask *asked,
                             uint32_t timeout_ms, struct ckpt_shard *shard_out)
{
    struct client_loan loan;
    enum ckpt_status status = client_loan_take(ckpt, asked, deadline_after_ms(timeout_ms), &loan);
    return status == CKPT_OK ? client_loaded_keep(ckpt, &loan, shard_out) : status;
}

enum ckpt_status ckpt_load(struct ckpt *ckpt, uint64_t step, uint32_t timeout_ms,
                           struct ckpt_shard *shard_out)
{
    enum ckpt_status status = client_enter(ckpt);
    if (status != CKPT_OK) {
        return status;
    }
    if (shard_out == NULL || ckpt->reader) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             shard_out == NULL
                                 ? "ckpt_load has nowhere to write: shard_out is NULL"
                                 : "a reader's context holds no rank: use ckpt_fetch");
    }
    struct message_load_ask asked = {
        .step = step,
        .rank = ckpt->rank,
        .asking_rank = ckpt->rank,
        .attempt = ckpt->attempt,
        .world = ckpt->world,
        .collective = true,
        .load = ++ckpt->loads,
    };
    return load(ckpt, &asked, timeout_ms, shard_out);
}

enum ckpt_status ckpt_fetch(struct ckpt *ckpt, uint64_t step, uint32_t rank, uint32_t timeout_ms,
                            struct ckpt_shard *shard_out)
{
    enum ckpt_status status = client_enter(ckpt);
    if (status != CKPT_OK) {
        return status;
    }
    if (shard_out == NULL) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "ckpt_fetch has nowhere to write: shard_out is NULL");
    }
    if (rank >= CKPT_WORLD_MAX) {
        return reason_refuse(ckpt->reason, CKPT_ERR_RANK,
                             "rank %u is outside any world: at most %d", rank, CKPT_WORLD_MAX);
    }
    struct message_load_ask asked = {
        .step = step,
        .rank = rank,
        .asking_rank = ckpt->rank,
        .attempt = ckpt->attempt,
        .world = ckpt->world,
        .load = CLIENT_FETCH_BASE | ++ckpt->fetches,
    };
    return load(ckpt, &asked, timeout_ms, shard_out);
}

static void drop(struct loaded *loaded)
{
    shard_index_delete(&loaded->index);
    free(loaded);
}

void ckpt_unload(struct ckpt *ckpt, struct ckpt_shard *shard)
{
    if (ckpt == NULL || shard == NULL) {
        return;
    }
    struct loaded **at = &ckpt->loaded;
    while (*at != NULL && *at != shard->private_state) {
        at = &(*at)->next;
    }
    struct loaded *loaded = *at;
    if (loaded != NULL) {
        *at = loaded->next;
        client_loan_return(ckpt, &loaded->loan);
        drop(loaded);
    }
    memset(shard, 0, sizeof(*shard));
}

void client_loaded_clear(struct ckpt *ckpt)
{
    while (ckpt->loaded != NULL) {
        struct loaded *next = ckpt->loaded->next;
        arena_view_unmap(&ckpt->loaded->loan.view);
        drop(ckpt->loaded);
        ckpt->loaded = next;
    }
}
