/* SPDX-License-Identifier: Apache-2.0 */
#include "store/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "store/rules.h"

struct memory {
    struct medium medium;
    uint64_t epoch;
    size_t count;
    size_t room;
    struct coordinator_record *records; /* each with its own array of shards, or NULL */
};

static enum ckpt_status memory_open(const char *location, struct store_progress *progress,
                                    struct medium **medium_out, char *reason_out)
{
    (void)location;
    (void)progress;
    struct memory *memory = calloc(1, sizeof(*memory));
    if (!memory) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for the record store");
    }
    *medium_out = &memory->medium;
    return CKPT_OK;
}

static enum ckpt_status memory_epoch(struct medium *medium, uint64_t *epoch_out)
{
    *epoch_out = ((struct memory *)medium)->epoch;
    return CKPT_OK;
}

static enum ckpt_status memory_replay(struct medium *medium, store_visit *visit, void *context)
{
    const struct memory *memory = (struct memory *)medium;
    enum ckpt_status status = CKPT_OK;
    for (size_t i = 0; i < memory->count && status == CKPT_OK; i++) {
        status = visit(context, &memory->records[i]);
    }
    return status;
}

static void drop_shards(struct coordinator_record *record)
{
    free((void *)(uintptr_t)record->shards);
    record->shards = NULL;
}

/* Removes what the record makes void. */
static void forget(struct memory *memory, const struct coordinator_record *later)
{
    size_t kept = 0;
    for (size_t i = 0; i < memory->count; i++) {
        struct coordinator_record *record = &memory->records[i];
        if (store_is_void(record, later)) {
            drop_shards(record);
        } else {
            memory->records[kept++] = *record;
        }
    }
    memory->count = kept;
}

static bool reserve(struct memory *memory, uint32_t count)
{
    if (memory->count + count <= memory->room) {
        return true;
    }
    size_t room = 2 * (memory->count + count);
    struct coordinator_record *records = realloc(memory->records, room * sizeof(*records));
    if (!records) {
        return false;
    }
    memory->records = records;
    memory->room = room;
    return true;
}

/* Appends one record behind the count; its shards are its own. */
static bool append(struct memory *memory, const struct store_transaction *transaction,
                   const struct coordinator_record *record, size_t at)
{
    struct coordinator_record copy = *record;
    copy.shards = NULL;
    if (record->type == RECORD_CONSISTENT) {
        struct coordinator_record_shard *shards = calloc(record->world + 1U, sizeof(*shards));
        if (!shards) {
            return false;
        }
        for (uint32_t rank = 0; rank < record->world; rank++) {
            shards[rank] = store_shard(transaction, record, rank);
        }
        copy.shards = shards;
    }
    memory->records[at] = copy;
    return true;
}

static enum ckpt_status memory_commit(struct medium *medium,
                                      const struct store_transaction *transaction)
{
    struct memory *memory = (struct memory *)medium;
    enum ckpt_status status = store_fence(memory->epoch, transaction, medium->reason);
    if (status != CKPT_OK) {
        return status;
    }
    if (!reserve(memory, transaction->count)) {
        return reason_refuse(medium->reason, CKPT_ERR_MEMORY, "no memory for a record");
    }
    size_t end = memory->count;
    for (uint32_t i = 0; i < transaction->count; i++) {
        if (!append(memory, transaction, &transaction->records[i], end)) {
            while (end > memory->count) {
                drop_shards(&memory->records[--end]);
            }
            return reason_refuse(medium->reason, CKPT_ERR_MEMORY,
                                 "no memory for a record's shards");
        }
        end++;
    }
    /* From here nothing fails. */
    size_t begin = memory->count;
    for (size_t i = begin; i < end; i++) {
        struct coordinator_record record = memory->records[i];
        forget(memory, &record);
        if (record.type == RECORD_EPOCH) {
            memory->epoch = record.epoch;
        }
        if (store_is_kept(&record)) {
            memory->records[memory->count++] = record;
        }
    }
    return CKPT_OK;
}

static void memory_close(struct medium *medium)
{
    struct memory *memory = (struct memory *)medium;
    for (size_t i = 0; i < memory->count; i++) {
        drop_shards(&memory->records[i]);
    }
    free(memory->records);
    free(memory);
}

const struct medium_kind medium_memory = {
    .open = memory_open,
    .epoch = memory_epoch,
    .replay = memory_replay,
    .commit = memory_commit,
    .close = memory_close,
};
