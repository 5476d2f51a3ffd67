/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
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

enum ckpt_status store_errno_status(int error)
{
    /* RLIMIT_FSIZE's error counts too: it can be raised from outside. */
    return error == ENOSPC || error == EDQUOT || error == EFBIG ? CKPT_ERR_FULL : CKPT_ERR_SYSTEM;
}

enum ckpt_status store_fence(uint64_t highest, const struct store_transaction *transaction,
                             char *reason_out)
{
    uint64_t known = highest;
    for (uint32_t i = 0; i < transaction->count; i++) {
        const struct coordinator_record *record = &transaction->records[i];
        if (record->type < RECORD_EPOCH || record->type > RECORD_LAST ||
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

const struct store_rule store_rules[STORE_RULES] = {
    {RECORD_EPOCH, RECORD_EPOCH, false},
    {RECORD_ATTEMPT, RECORD_ATTEMPT, false},
    {RECORD_WITHDRAWN, RECORD_WITHDRAWN, false},
    {RECORD_VERDICT, RECORD_VERDICT, false},
    {RECORD_RETIRED, RECORD_CONSISTENT, true},
    {RECORD_RETIRED, RECORD_QUARANTINED, true},
    {RECORD_RETIRED, RECORD_HOLDERS, true},
    {RECORD_RETIRED, RECORD_MARK, true},
    {RECORD_MARK, RECORD_MARK, true},
    {RECORD_OFFERED, RECORD_QUARANTINED, true},
    {RECORD_CLUSTER, RECORD_CLUSTER, false},
    {RECORD_DRAINED, RECORD_DRAINED, false},
    {RECORD_UNDRAINED, RECORD_DRAINED, false},
};

bool store_is_kept(const struct coordinator_record *record)
{
    return record->type != RECORD_RETIRED && record->type != RECORD_OFFERED &&
           record->type != RECORD_UNDRAINED;
}

bool store_is_void(const struct coordinator_record *earlier, const struct coordinator_record *later)
{
    for (size_t i = 0; i < STORE_RULES; i++) {
        const struct store_rule *rule = &store_rules[i];
        if (rule->later == later->type && rule->earlier == earlier->type &&
            earlier->run.uid == later->run.uid && strcmp(earlier->run.name, later->run.name) == 0 &&
            (!rule->of_checkpoint ||
             (earlier->attempt == later->attempt && earlier->step == later->step))) {
            return true;
        }
    }
    return false;
}

bool store_may_pass(enum ckpt_status status)
{
    return status == CKPT_ERR_TIMEOUT || status == CKPT_ERR_FULL;
}

enum ckpt_status store_open(const struct store_backend *backend, const char *location,
                            struct store_progress *progress, struct store **store_out,
                            char *reason_out)
{
    struct store *store;
    enum ckpt_status status = backend->open(location, progress, &store, reason_out);
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
    if (status != CKPT_OK && status != CKPT_ERR_STALE && status != CKPT_ERR_INVALID &&
        !store_may_pass(status)) {
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
