/* SPDX-License-Identifier: Apache-2.0 */
/* One record as one row, with a checksum over all that it says and over its number, so that a row
 * that was changed, moved or taken from another place is found at replay; and, beside all rows,
 * their extent, so that one that is missing is found too. */

#include "store/sqlite_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/reason.h"
#include "store/rules.h"
#include "store/shard_blob.h"
#include "store/sqlite_call.h"

/* A key's kind, and its secret where it has one. */
#define KEY_BYTES (1 + DIGEST_SECRET_BYTES)

static size_t key_encode(const struct digest_key *key, uint8_t bytes_out[KEY_BYTES])
{
    bytes_out[0] = (uint8_t)key->kind;
    memcpy(bytes_out + 1, key->secret.bytes, DIGEST_SECRET_BYTES);
    return key->kind == DIGEST_KIND_UNKNOWN       ? 0
           : key->kind == DIGEST_KIND_FINGERPRINT ? KEY_BYTES
                                                  : 1;
}

static bool key_decode(const uint8_t *bytes, size_t count, struct digest_key *key_out)
{
    memset(key_out, 0, sizeof(*key_out));
    if (count == 1 && bytes[0] == DIGEST_KIND_BLAKE3) {
        key_out->kind = DIGEST_KIND_BLAKE3;
    } else if (count == KEY_BYTES && bytes[0] == DIGEST_KIND_FINGERPRINT) {
        key_out->kind = DIGEST_KIND_FINGERPRINT;
        memcpy(key_out->secret.bytes, bytes + 1, DIGEST_SECRET_BYTES);
    }
    return count == 0 || key_out->kind != DIGEST_KIND_UNKNOWN;
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
    crc = crc32c(crc, record->reason, strlen(record->reason) + 1);
    if (record->wall_ms != 0) { /* rows of version 2 have none */
        store_le64(fixed, record->wall_ms);
        crc = crc32c(crc, fixed, 8);
    }
    uint8_t key[KEY_BYTES]; /* empty in rows of version 3 */
    return crc32c(crc, key, key_encode(&record->key, key));
}

static int bind_number(sqlite3_stmt *statement, int place, uint64_t number)
{
    return sqlite3_bind_int64(statement, place, (sqlite3_int64)number);
}

/* What a row adds to the extent's sum: splitmix64's finisher of its number and checksum. */
static uint64_t row_share(uint64_t row, uint32_t crc)
{
    uint64_t x = row * UINT64_C(0x9e3779b97f4a7c15) + crc;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint32_t extent_crc(const struct sqlite_extent *extent)
{
    uint8_t fixed[8 * 3];
    store_le64(fixed, extent->last);
    store_le64(fixed + 8, extent->rows);
    store_le64(fixed + 16, extent->sum);
    return crc32c(0, fixed, sizeof(fixed));
}

enum ckpt_status sqlite_extent_read(struct sqlite *sqlite, struct sqlite_extent *extent_out)
{
    sqlite3_stmt *statement = sqlite->statements[STATEMENT_EXTENT];
    enum ckpt_status status = CKPT_OK;
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        extent_out->last = (uint64_t)sqlite3_column_int64(statement, 0);
        extent_out->rows = (uint64_t)sqlite3_column_int64(statement, 1);
        extent_out->sum = (uint64_t)sqlite3_column_int64(statement, 2);
        uint64_t crc = (uint64_t)sqlite3_column_int64(statement, 3);
        if (crc != extent_crc(extent_out)) {
            result = SQLITE_DONE;
        }
    }
    if (result == SQLITE_DONE) {
        status = reason_refuse(sqlite->medium.reason, CKPT_ERR_CORRUPT,
                               "%s: its extent is damaged or missing: look at the disk, then bring "
                               "the state directory back from a backup",
                               sqlite->path);
    } else if (result != SQLITE_ROW) {
        status = sqlite_refuse(sqlite, result, "read its extent");
    }
    sqlite3_reset(statement);
    return status;
}

enum ckpt_status sqlite_extent_write(struct sqlite *sqlite, const struct sqlite_extent *extent)
{
    sqlite3_stmt *statement = sqlite->statements[STATEMENT_SET_EXTENT];
    bind_number(statement, 1, extent->last);
    bind_number(statement, 2, extent->rows);
    bind_number(statement, 3, extent->sum);
    bind_number(statement, 4, extent_crc(extent));
    return sqlite_run(sqlite, STATEMENT_SET_EXTENT);
}

/* The first row of that type and subject, if there is one. */
static enum ckpt_status find_row(struct sqlite *sqlite, const struct store_rule *rule,
                                 const struct coordinator_record *record, bool *found_out,
                                 uint64_t *row_out, uint32_t *crc_out)
{
    sqlite3_stmt *find = sqlite->statements[rule->of_checkpoint ? STATEMENT_FIND_OF_CHECKPOINT
                                                                : STATEMENT_FIND_OF_RUN];
    enum ckpt_status status = CKPT_OK;
    bind_number(find, 1, (uint64_t)rule->earlier);
    bind_number(find, 2, record->run.uid);
    sqlite3_bind_text(find, 3, record->run.name, -1, SQLITE_STATIC);
    if (rule->of_checkpoint) {
        bind_number(find, 4, record->attempt);
        bind_number(find, 5, record->step);
    }
    int result = sqlite3_step(find);
    *found_out = result == SQLITE_ROW;
    if (result == SQLITE_ROW) {
        *row_out = (uint64_t)sqlite3_column_int64(find, 0);
        *crc_out = (uint32_t)sqlite3_column_int64(find, 1);
    } else if (result != SQLITE_DONE) {
        status = sqlite_refuse(sqlite, result, "look for what a record makes void");
    }
    sqlite3_reset(find);
    sqlite3_clear_bindings(find);
    return status;
}

static enum ckpt_status delete_row(struct sqlite *sqlite, struct sqlite_extent *extent,
                                   uint64_t row, uint32_t crc)
{
    bind_number(sqlite->statements[STATEMENT_DELETE], 1, row);
    enum ckpt_status status = sqlite_run(sqlite, STATEMENT_DELETE);
    if (status == CKPT_OK) {
        bind_number(sqlite->statements[STATEMENT_DELETE_SHARDS], 1, row);
        status = sqlite_run(sqlite, STATEMENT_DELETE_SHARDS);
    }
    extent->rows--;
    extent->sum -= row_share(row, crc);
    return status;
}

static enum ckpt_status delete_void(struct sqlite *sqlite, struct sqlite_extent *extent,
                                    const struct coordinator_record *record)
{
    enum ckpt_status status = CKPT_OK;
    for (size_t i = 0; i < STORE_RULES && status == CKPT_OK; i++) {
        bool found = store_rules[i].later == record->type;
        while (found && status == CKPT_OK) {
            uint64_t row = 0;
            uint32_t crc = 0;
            status = find_row(sqlite, &store_rules[i], record, &found, &row, &crc);
            if (status == CKPT_OK && found) {
                status = delete_row(sqlite, extent, row, crc);
            }
        }
    }
    return status;
}

static enum ckpt_status add_shards(struct sqlite *sqlite, uint64_t row,
                                   const struct store_transaction *transaction,
                                   const struct coordinator_record *record, uint32_t *crc_out)
{
    size_t bytes;
    uint8_t *blob = shard_blob_encode(transaction, record, &bytes);
    if (!blob) {
        return sqlite_refuse(sqlite, SQLITE_NOMEM, "write a checkpoint's shards");
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

static enum ckpt_status insert(struct sqlite *sqlite, struct sqlite_extent *extent, uint64_t row,
                               const struct store_transaction *transaction,
                               const struct coordinator_record *record)
{
    uint32_t shards_crc = 0;
    if (record->type == RECORD_CONSISTENT) {
        enum ckpt_status status = add_shards(sqlite, row, transaction, record, &shards_crc);
        if (status != CKPT_OK) {
            return status;
        }
    }
    sqlite3_stmt *statement = sqlite->statements[STATEMENT_INSERT];
    uint32_t crc = row_crc(row, record, shards_crc);
    bind_number(statement, 1 + COLUMN_ID, row);
    bind_number(statement, 1 + COLUMN_TYPE, (uint64_t)record->type);
    bind_number(statement, 1 + COLUMN_EPOCH, record->epoch);
    bind_number(statement, 1 + COLUMN_UID, record->run.uid);
    sqlite3_bind_text(statement, 1 + COLUMN_RUN, record->run.name, -1, SQLITE_STATIC);
    bind_number(statement, 1 + COLUMN_ATTEMPT, record->attempt);
    bind_number(statement, 1 + COLUMN_STEP, record->step);
    bind_number(statement, 1 + COLUMN_WORLD, record->world);
    bind_number(statement, 1 + COLUMN_COPIES, record->copies);
    bind_number(statement, 1 + COLUMN_BYTES, record->bytes);
    sqlite3_bind_text(statement, 1 + COLUMN_REASON, record->reason, -1, SQLITE_STATIC);
    bind_number(statement, 1 + COLUMN_SHARDS_CRC, shards_crc);
    bind_number(statement, 1 + COLUMN_CRC, crc);
    bind_number(statement, 1 + COLUMN_WALL, record->wall_ms);
    uint8_t key[KEY_BYTES];
    size_t key_bytes = key_encode(&record->key, key);
    sqlite3_bind_blob(statement, 1 + COLUMN_KEY, key, (int)key_bytes, SQLITE_STATIC);
    extent->rows++;
    extent->sum += row_share(row, crc);
    return sqlite_run(sqlite, STATEMENT_INSERT);
}

enum ckpt_status sqlite_row_add(struct sqlite *sqlite, struct sqlite_extent *extent,
                                const struct store_transaction *transaction,
                                const struct coordinator_record *record)
{
    uint64_t row = ++extent->last;
    enum ckpt_status status = delete_void(sqlite, extent, record);
    if (status == CKPT_OK && store_is_kept(record)) {
        status = insert(sqlite, extent, row, transaction, record);
    }
    return status;
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
    return crc32c(0, blob, bytes) == shards_crc &&
           shard_blob_decode(blob, bytes, record->world, shards);
}

static bool read_key(sqlite3_stmt *row, struct digest_key *key_out)
{
    size_t bytes = (size_t)sqlite3_column_bytes(row, COLUMN_KEY);
    return key_decode(sqlite3_column_blob(row, COLUMN_KEY), bytes, key_out);
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
    record->wall_ms = column_number(row, COLUMN_WALL);
    if (!read_text(row, COLUMN_RUN, record->run.name, sizeof(record->run.name)) ||
        !read_text(row, COLUMN_REASON, record->reason, sizeof(record->reason)) ||
        !read_key(row, &record->key)) {
        return false;
    }
    uint32_t shards_crc = (uint32_t)column_number(row, COLUMN_SHARDS_CRC);
    return column_number(row, COLUMN_CRC) ==
               row_crc(column_number(row, COLUMN_ID), record, shards_crc) &&
           record->world <= CKPT_WORLD_MAX && record->type >= RECORD_EPOCH &&
           record->type <= RECORD_LAST;
}

enum ckpt_status sqlite_row_read(struct sqlite *sqlite, sqlite3_stmt *row,
                                 struct coordinator_record_shard *shards,
                                 struct coordinator_record *record_out)
{
    uint64_t id = column_number(row, COLUMN_ID);
    if (!read_record(row, record_out)) {
        return sqlite_refuse_row(sqlite, id, "is damaged (its checksum differs)");
    }
    if (record_out->type == RECORD_CONSISTENT && shards) {
        uint32_t shards_crc = (uint32_t)column_number(row, COLUMN_SHARDS_CRC);
        if (sqlite3_column_type(row, COLUMN_SHARDS) == SQLITE_NULL) {
            return sqlite_refuse_row(sqlite, id, "has lost its shards");
        }
        if (!read_shards(row, record_out, shards_crc, shards)) {
            return sqlite_refuse_row(sqlite, id, "has damaged shards (their checksum differs)");
        }
        record_out->shards = shards;
    }
    return CKPT_OK;
}

static enum ckpt_status compare_extent(struct sqlite *sqlite, const struct sqlite_extent *found)
{
    struct sqlite_extent extent;
    enum ckpt_status status = sqlite_extent_read(sqlite, &extent);
    if (status != CKPT_OK ||
        (found->rows == extent.rows && found->sum == extent.sum && found->last <= extent.last)) {
        return status;
    }
    return reason_refuse(sqlite->medium.reason, CKPT_ERR_CORRUPT,
                         "%s: %" PRIu64 " rows are there, %" PRIu64
                         " must be%s: look at the disk, then bring the state directory back from a "
                         "backup",
                         sqlite->path, found->rows, extent.rows,
                         found->rows == extent.rows ? ", and they are others" : "");
}

enum ckpt_status sqlite_rows_replay(struct sqlite *sqlite, store_visit *visit, void *context)
{
    struct coordinator_record_shard *shards = calloc(CKPT_WORLD_MAX, sizeof(*shards));
    struct sqlite_extent found = {0};
    if (!shards) {
        return sqlite_refuse(sqlite, SQLITE_NOMEM, "replay the records");
    }
    sqlite3_stmt *row = sqlite->statements[STATEMENT_REPLAY];
    enum ckpt_status status = CKPT_OK;
    int result = SQLITE_ROW;
    while (status == CKPT_OK && (result = sqlite3_step(row)) == SQLITE_ROW) {
        struct coordinator_record record;
        status = sqlite_row_read(sqlite, row, shards, &record);
        if (status == CKPT_OK) {
            status = visit(context, &record);
        }
        found.last = column_number(row, COLUMN_ID);
        found.rows++;
        found.sum += row_share(found.last, (uint32_t)column_number(row, COLUMN_CRC));
        sqlite_progress(sqlite, "replaying", found.rows, 0);
    }
    if (status == CKPT_OK && result != SQLITE_DONE) {
        status = sqlite_refuse(sqlite, result, "read the records");
    }
    sqlite3_reset(row);
    if (status == CKPT_OK) {
        status = compare_extent(sqlite, &found);
    }
    sqlite_progress(sqlite, NULL, 0, 0);
    free(shards);
    return status;
}
