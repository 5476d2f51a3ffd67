/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/backend.h"

const struct store_backend *store_backend_by_name(const char *name)
{
    static const struct store_backend *const backends[] = {&store_sqlite, &store_memory};
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        if (strcmp(name, backends[i]->name) == 0) {
            return backends[i];
        }
    }
    return NULL;
}

enum ckpt_status store_refuse(char *reason_out, enum ckpt_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason_out, CKPT_REASON_MAX + 1, format, arguments);
    va_end(arguments);
    return status;
}

enum ckpt_status store_fence(uint64_t highest, const struct store_transaction *transaction,
                             char *reason_out)
{
    uint64_t known = highest;
    for (uint32_t i = 0; i < transaction->count; i++) {
        const struct coordinator_record *record = &transaction->records[i];
        if (record->type < RECORD_EPOCH || record->type > RECORD_VERDICT ||
            record->world > CKPT_WORLD_MAX) {
            return store_refuse(reason_out, CKPT_ERR_INVALID, "record type %d, world %" PRIu32,
                                (int)record->type, record->world);
        }
        if (record->epoch < highest || (record->type == RECORD_EPOCH && record->epoch <= known)) {
            return store_refuse(reason_out, CKPT_ERR_STALE,
                                "epoch %" PRIu64 " is over: the records know epoch %" PRIu64
                                ", so another coordinator rules",
                                record->epoch, known);
        }
        if (record->type == RECORD_EPOCH) {
            known = record->epoch;
        }
        /* SQLite's integers are signed. */
        if (record->epoch > known || record->epoch > INT64_MAX) {
            return store_refuse(reason_out, CKPT_ERR_INVALID,
                                "epoch %" PRIu64 " was never taken: the highest is %" PRIu64,
                                record->epoch, known);
        }
    }
    return CKPT_OK;
}

struct coordinator_record_shard store_shard(const struct store_transaction *transaction,
                                            const struct coordinator_record *record, uint32_t rank)
{
    assert(rank < record->world);
    if (record->shards) {
        return record->shards[rank];
    }
    assert(transaction->shard_at);
    return transaction->shard_at(transaction->context, record, rank);
}

bool store_same_checkpoint(const struct coordinator_record *a, const struct coordinator_record *b)
{
    return a->step == b->step && a->attempt == b->attempt && a->run.uid == b->run.uid &&
           strcmp(a->run.name, b->run.name) == 0;
}

enum ckpt_status store_open(const struct store_backend *backend, const char *location,
                            struct store **store_out, char *reason_out)
{
    struct store *store;
    enum ckpt_status status = backend->open(location, &store, reason_out);
    if (status == CKPT_OK) {
        store->backend = backend;
        *store_out = store;
    }
    return status;
}

enum ckpt_status store_epoch(struct store *store, uint64_t *epoch_out)
{
    return store->backend->epoch(store, epoch_out);
}

enum ckpt_status store_replay(struct store *store, store_visit *visit, void *context)
{
    return store->backend->replay(store, visit, context);
}

enum ckpt_status store_commit(struct store *store, const struct store_transaction *transaction)
{
    if (store->failed != CKPT_OK) {
        return store->failed;
    }
    if (transaction->count == 0) {
        return CKPT_OK;
    }
    enum ckpt_status status = store->backend->commit(store, transaction);
    if (status != CKPT_OK && status != CKPT_ERR_STALE && status != CKPT_ERR_INVALID) {
        store->failed = status;
    }
    return status;
}

const char *store_reason(const struct store *store)
{
    return store->reason;
}

void store_close(struct store **store)
{
    if (store && *store) {
        (*store)->backend->close(*store);
        *store = NULL;
    }
}
