/* SPDX-License-Identifier: Apache-2.0 */
/* One record as one row, with a checksum over all that it says and over its number, so that a row
 * that was changed, moved or taken from another place is found at replay. */
#include "store/sqlite.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

enum column {
    COLUMN_ID,
    COLUMN_TYPE,
    COLUMN_EPOCH,
    COLUMN_UID,
    COLUMN_RUN,
    COLUMN_ATTEMPT,
    COLUMN_STEP,
    COLUMN_WORLD,
    COLUMN_COPIES,
    COLUMN_BYTES,
    COLUMN_REASON,
    COLUMN_SHARDS_CRC,
    COLUMN_CRC,
    COLUMN_SHARDS, /* joined */
};

enum ckpt_status sqlite_refuse_row(struct sqlite *sqlite, uint64_t row, const char *what)
{
    return store_refuse(sqlite->store.reason, CKPT_ERR_CORRUPT,
                        "%s: row %" PRIu64 " %s: look at the disk, then bring the state directory "
                        "back from a backup",
                        sqlite->path, row, what);
}

static uint32_t row_crc(uint64_t row, const struct coordinator_record *record, uint32_t shards_crc)
{
    uint8_t fixed[8 * 9 + 4];
    const uint64_t numbers[] = {
        row,          (uint64_t)record->type, record->epoch,  record->run.uid, record->attempt,
        record->step, record->world,          record->copies, record->bytes,
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        store_le64(fixed + 8 * i, numbers[i]);
    }
    store_le32(fixed + 8 * 9, shards_crc);
    uint32_t crc = crc32c(0, fixed, sizeof(fixed));
    /* With their NULs, so that no byte can pass from one text to the other. */
    crc = crc32c(crc, record->run.name, strlen(record->run.name) + 1);
    return crc32c(crc, record->reason, strlen(record->reason) + 1);
}

static int bind_number(sqlite3_stmt *statement, int place, uint64_t number)
{
    return sqlite3_bind_int64(statement, place, (sqlite3_int64)number);
}

/* Binds (uid, run, attempt, step) from place 1 on. */
static void bind_checkpoint(sqlite3_stmt *statement, const struct coordinator_record *record)
{
    bind_number(statement, 1, record->run.uid);
    sqlite3_bind_text(statement, 2, record->run.name, -1, SQLITE_STATIC);
    bind_number(statement, 3, record->attempt);
    bind_number(statement, 4, record->step);
}

static enum ckpt_status add_shards(struct sqlite *sqlite, uint64_t row,
                                   const struct store_transaction *transaction,
                                   const struct coordinator_record *record, uint32_t *crc_out)
{
    size_t bytes = (size_t)record->world * SHARD_ROW_BYTES;
    uint8_t *blob = malloc(bytes + 1);
    if (!blob) {
        return sqlite_refuse(sqlite, SQLITE_NOMEM, "write a checkpoint's shards");
    }
    for (uint32_t rank = 0; rank < record->world; rank++) {
        struct coordinator_record_shard shard = store_shard(transaction, record, rank);
        store_le64(blob + (size_t)rank * SHARD_ROW_BYTES, shard.bytes);
        memcpy(blob + (size_t)rank * SHARD_ROW_BYTES + 8, shard.digest.bytes, CKPT_DIGEST_BYTES);
    }
    sqlite3_stmt *statement = sqlite->statements[STATEMENT_ADD_SHARDS];
    bind_number(statement, 1, row);
    sqlite3_bind_blob(statement, 2, blob, (int)bytes, SQLITE_STATIC);
    enum ckpt_status status = sqlite_run(sqlite, STATEMENT_ADD_SHARDS);
    if (status == CKPT_OK) {
        *crc_out = crc32c(0, blob, bytes);
    }
    free(blob);
    return status;
}

enum ckpt_status sqlite_row_insert(struct sqlite *sqlite, uint64_t row,
                                   const struct store_transaction *transaction,
                                   const struct coordinator_record *record)
{
    uint32_t shards_crc = 0;
    enum ckpt_status status = CKPT_OK;
    if (record->type == RECORD_CONSISTENT) {
        status = add_shards(sqlite, row, transaction, record, &shards_crc);
    } else if (record->type == RECORD_RETIRED) {
        bind_checkpoint(sqlite->statements[STATEMENT_DROP_SHARDS], record);
        status = sqlite_run(sqlite, STATEMENT_DROP_SHARDS);
    }
    if (status != CKPT_OK) {
        return status;
    }
    sqlite3_stmt *insert = sqlite->statements[STATEMENT_INSERT];
    bind_number(insert, 1 + COLUMN_ID, row);
    bind_number(insert, 1 + COLUMN_TYPE, (uint64_t)record->type);
    bind_number(insert, 1 + COLUMN_EPOCH, record->epoch);
    bind_number(insert, 1 + COLUMN_UID, record->run.uid);
    sqlite3_bind_text(insert, 1 + COLUMN_RUN, record->run.name, -1, SQLITE_STATIC);
    bind_number(insert, 1 + COLUMN_ATTEMPT, record->attempt);
    bind_number(insert, 1 + COLUMN_STEP, record->step);
    bind_number(insert, 1 + COLUMN_WORLD, record->world);
    bind_number(insert, 1 + COLUMN_COPIES, record->copies);
    bind_number(insert, 1 + COLUMN_BYTES, record->bytes);
    sqlite3_bind_text(insert, 1 + COLUMN_REASON, record->reason, -1, SQLITE_STATIC);
    bind_number(insert, 1 + COLUMN_SHARDS_CRC, shards_crc);
    bind_number(insert, 1 + COLUMN_CRC, row_crc(row, record, shards_crc));
    return sqlite_run(sqlite, STATEMENT_INSERT);
}

/* Copies a text of at most room - 1 bytes; false when it is longer or has a NUL inside. */
static bool read_text(sqlite3_stmt *row, enum column column, char *text_out, size_t room)
{
    const unsigned char *text = sqlite3_column_text(row, (int)column);
    size_t bytes = (size_t)sqlite3_column_bytes(row, (int)column);
    if (!text || bytes >= room || memchr(text, '\0', bytes)) {
        return false;
    }
    memset(text_out, 0, room);
    memcpy(text_out, text, bytes);
    return true;
}

/* Reads the joined shards into shards (room for CKPT_WORLD_MAX); false when they are not what was
 * written. */
static bool read_shards(sqlite3_stmt *row, const struct coordinator_record *record,
                        uint32_t shards_crc, struct coordinator_record_shard *shards)
{
    size_t bytes = (size_t)sqlite3_column_bytes(row, COLUMN_SHARDS);
    const uint8_t *blob = sqlite3_column_blob(row, COLUMN_SHARDS);
    if (bytes != (size_t)record->world * SHARD_ROW_BYTES || crc32c(0, blob, bytes) != shards_crc) {
        return false;
    }
    for (uint32_t rank = 0; rank < record->world; rank++) {
        const uint8_t *from = blob + (size_t)rank * SHARD_ROW_BYTES;
        shards[rank].bytes = load_le64(from);
        memcpy(shards[rank].digest.bytes, from + 8, CKPT_DIGEST_BYTES);
    }
    return true;
}

static uint64_t column_number(sqlite3_stmt *row, enum column column)
{
    return (uint64_t)sqlite3_column_int64(row, (int)column);
}

/* The record of a row, without its shards; false when its checksum is not the row's. */
static bool read_record(sqlite3_stmt *row, struct coordinator_record *record_out)
{
    struct coordinator_record *record = record_out;
    memset(record, 0, sizeof(*record));
    record->type = (enum coordinator_record_type)column_number(row, COLUMN_TYPE);
    record->epoch = column_number(row, COLUMN_EPOCH);
    record->run.uid = (uint32_t)column_number(row, COLUMN_UID);
    record->attempt = (uint32_t)column_number(row, COLUMN_ATTEMPT);
    record->step = column_number(row, COLUMN_STEP);
    record->world = (uint32_t)column_number(row, COLUMN_WORLD);
    record->copies = (uint32_t)column_number(row, COLUMN_COPIES);
    record->bytes = column_number(row, COLUMN_BYTES);
    if (!read_text(row, COLUMN_RUN, record->run.name, sizeof(record->run.name)) ||
        !read_text(row, COLUMN_REASON, record->reason, sizeof(record->reason))) {
        return false;
    }
    uint32_t shards_crc = (uint32_t)column_number(row, COLUMN_SHARDS_CRC);
    return column_number(row, COLUMN_CRC) ==
               row_crc(column_number(row, COLUMN_ID), record, shards_crc) &&
           record->world <= CKPT_WORLD_MAX && record->type >= RECORD_EPOCH &&
           record->type <= RECORD_VERDICT;
}

/* Whether the checkpoint of the record in `row` was retired later on. */
static enum ckpt_status is_retired(struct sqlite *sqlite, uint64_t row,
                                   const struct coordinator_record *record, bool *retired_out)
{
    uint64_t retired_row;
    bind_checkpoint(sqlite->statements[STATEMENT_IS_RETIRED], record);
    enum ckpt_status status = sqlite_number(sqlite, STATEMENT_IS_RETIRED, &retired_row);
    if (status == CKPT_OK) {
        *retired_out = retired_row > row;
    }
    return status;
}

static enum ckpt_status replay_row(struct sqlite *sqlite, sqlite3_stmt *row, uint64_t expected,
                                   struct coordinator_record_shard *shards, store_visit *visit,
                                   void *context)
{
    struct coordinator_record record;
    uint64_t id = column_number(row, COLUMN_ID);
    bool retired = false;
    if (id != expected) {
        return sqlite_refuse_row(sqlite, expected, "is missing");
    }
    if (!read_record(row, &record)) {
        return sqlite_refuse_row(sqlite, id, "is damaged (its checksum differs)");
    }
    if (record.type == RECORD_RETIRED) {
        return CKPT_OK;
    }
    if (record.type == RECORD_CONSISTENT || record.type == RECORD_QUARANTINED) {
        enum ckpt_status status = is_retired(sqlite, id, &record, &retired);
        if (status != CKPT_OK || retired) {
            return status;
        }
    }
    if (record.type == RECORD_CONSISTENT) {
        uint32_t shards_crc = (uint32_t)column_number(row, COLUMN_SHARDS_CRC);
        if (sqlite3_column_type(row, COLUMN_SHARDS) == SQLITE_NULL) {
            return sqlite_refuse_row(sqlite, id, "has lost its shards");
        }
        if (!read_shards(row, &record, shards_crc, shards)) {
            return sqlite_refuse_row(sqlite, id, "has damaged shards (their checksum differs)");
        }
        record.shards = shards;
    }
    return visit(context, &record);
}

enum ckpt_status sqlite_rows_replay(struct sqlite *sqlite, store_visit *visit, void *context)
{
    struct coordinator_record_shard *shards = calloc(CKPT_WORLD_MAX, sizeof(*shards));
    if (!shards) {
        return sqlite_refuse(sqlite, SQLITE_NOMEM, "replay the records");
    }
    sqlite3_stmt *row = sqlite->statements[STATEMENT_REPLAY];
    enum ckpt_status status = CKPT_OK;
    uint64_t expected = 1;
    int result = SQLITE_ROW;
    while (status == CKPT_OK && (result = sqlite3_step(row)) == SQLITE_ROW) {
        status = replay_row(sqlite, row, expected, shards, visit, context);
        expected++;
    }
    if (status == CKPT_OK && result != SQLITE_DONE) {
        status = sqlite_refuse(sqlite, result, "read the records");
    }
    if (status == CKPT_OK && expected <= sqlite->last_row) {
        status = sqlite_refuse_row(sqlite, expected, "is missing");
    }
    sqlite3_reset(row);
    free(shards);
    return status;
}
