/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, and the statements on them. */

#include "store/sqlite_schema.h"

#include <string.h>

#include "base/reason.h"
#include "store/sqlite_call.h"
#include "store/sqlite_rows.h"

/* A row is removed by the transaction that brings what makes it void, so the tables hold what is
 * there now, however long they have been written to; pages that become free are used again by the
 * next commit, and nothing is ever vacuumed. record_subject finds what is to be removed. */
static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE record ("
    "  id INTEGER PRIMARY KEY,"
    "  type INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    "  uid INTEGER NOT NULL, run TEXT NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL,"
    "  world INTEGER NOT NULL, copies INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    "  reason TEXT NOT NULL, shards_crc INTEGER NOT NULL, crc INTEGER NOT NULL,"
    "  wall_ms INTEGER NOT NULL DEFAULT 0, digest_key BLOB NOT NULL DEFAULT x'') STRICT;"
    "CREATE INDEX record_subject ON record (type, uid, run, attempt, step);"
    "CREATE TABLE shards (record INTEGER PRIMARY KEY, sizes_and_digests BLOB NOT NULL) STRICT;"
    "CREATE TABLE extent (id INTEGER PRIMARY KEY CHECK (id = 1), last_id INTEGER NOT NULL,"
    "  row_count INTEGER NOT NULL, row_sum INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;"
    "PRAGMA application_id = 1129009236;"
    "PRAGMA user_version = 5;";
_Static_assert(SQLITE_APPLICATION_ID == 1129009236 && SQLITE_SCHEMA_VERSION == 5,
               "the schema says the same");

/* Version 2 had no times, 3 no keys and 4 no records of what is in a tier: what they wrote has the
 * columns' defaults, and no row is touched. */
static const char times[] = "BEGIN IMMEDIATE;"
                            "ALTER TABLE record ADD COLUMN wall_ms INTEGER NOT NULL DEFAULT 0;"
                            "PRAGMA user_version = 3;"
                            "COMMIT";
static const char keys[] = "BEGIN IMMEDIATE;"
                           "ALTER TABLE record ADD COLUMN digest_key BLOB NOT NULL DEFAULT x'';"
                           "PRAGMA user_version = 4;"
                           "COMMIT";
static const char tiers[] = "PRAGMA user_version = 5";

static const char *const statements[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    [STATEMENT_EPOCH] = "SELECT ifnull(max(epoch), 0) FROM record WHERE type = 1",
    [STATEMENT_EXTENT] = "SELECT last_id, row_count, row_sum, crc FROM extent",
    [STATEMENT_SET_EXTENT] = "INSERT OR REPLACE INTO extent VALUES (1,?,?,?,?)",
    [STATEMENT_INSERT] = "INSERT INTO record VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [STATEMENT_ADD_SHARDS] = "INSERT INTO shards VALUES (?,?)",
    [STATEMENT_FIND_OF_RUN] =
        "SELECT id, crc FROM record WHERE type = ? AND uid = ? AND run = ? LIMIT 1",
    [STATEMENT_FIND_OF_CHECKPOINT] = ("SELECT id, crc FROM record WHERE type = ? AND uid = ? AND"
                                      " run = ? AND attempt = ? AND step = ? LIMIT 1"),
    [STATEMENT_DELETE] = "DELETE FROM record WHERE id = ?",
    [STATEMENT_DELETE_SHARDS] = "DELETE FROM shards WHERE record = ?",
    [STATEMENT_REPLAY] = ("SELECT " SQLITE_COLUMNS ", shards.sizes_and_digests FROM record"
                          " LEFT JOIN shards ON shards.record = record.id ORDER BY record.id"),
};
_Static_assert(RECORD_EPOCH == 1, "the statements say the same");

enum ckpt_status sqlite_prepare(struct sqlite *sqlite)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        int result = sqlite3_prepare_v3(sqlite->database, statements[i], -1,
                                        SQLITE_PREPARE_PERSISTENT, &sqlite->statements[i], NULL);
        if (result != SQLITE_OK) {
            return sqlite_refuse(sqlite, result, "prepare a statement");
        }
    }
    return CKPT_OK;
}

/* The tables and an extent of nothing appear together. */
enum ckpt_status sqlite_schema_make(struct sqlite *sqlite)
{
    const struct sqlite_extent nothing = {0};
    enum ckpt_status status = sqlite_execute(sqlite, schema, "make its tables");
    if (status == CKPT_OK) {
        status = sqlite_prepare(sqlite);
    }
    if (status == CKPT_OK) {
        status = sqlite_extent_write(sqlite, &nothing);
    }
    if (status == CKPT_OK) {
        status = sqlite_run(sqlite, STATEMENT_COMMIT);
    }
    return status;
}

enum ckpt_status sqlite_schema_extend(struct sqlite *sqlite, long version)
{
    static const char what[] = "extend it for this version";
    enum ckpt_status status = version < 3 ? sqlite_execute(sqlite, times, what) : CKPT_OK;
    if (status == CKPT_OK && version < 4) {
        status = sqlite_execute(sqlite, keys, what);
    }
    return status == CKPT_OK ? sqlite_execute(sqlite, tiers, what) : status;
}

enum ckpt_status sqlite_schema_version(struct sqlite *sqlite, long *version_out)
{
    long tables = 0;
    long application = 0;
    long version = 0;
    enum ckpt_status status =
        sqlite_ask_number(sqlite, "SELECT count(*) FROM sqlite_schema", &tables);
    if (status == CKPT_OK) {
        status = sqlite_ask_number(sqlite, "PRAGMA application_id", &application);
    }
    if (status == CKPT_OK) {
        status = sqlite_ask_number(sqlite, "PRAGMA user_version", &version);
    }
    if (status != CKPT_OK) {
        return status;
    }
    *version_out = version;
    if (tables == 0 && application == 0 && version == 0) {
        return CKPT_OK;
    }
    if (application != SQLITE_APPLICATION_ID) {
        return reason_refuse(sqlite->medium.reason, CKPT_ERR_CORRUPT,
                             "%s is a database of another program (application id %ld), or damaged",
                             sqlite->path, application);
    }
    if (version < 1 || version > SQLITE_SCHEMA_VERSION) {
        return reason_refuse(sqlite->medium.reason, CKPT_ERR_VERSION,
                             "%s has schema version %ld, this ckptctld knows %d: start the version "
                             "that wrote it",
                             sqlite->path, version, SQLITE_SCHEMA_VERSION);
    }
    return CKPT_OK;
}

enum ckpt_status sqlite_check(struct sqlite *sqlite)
{
    char verdict[128];
    sqlite_progress(sqlite, "checking", 0, 0);
    enum ckpt_status status =
        sqlite_ask(sqlite, "PRAGMA integrity_check(1)", verdict, sizeof(verdict));
    if (status == CKPT_OK && strcmp(verdict, "ok") != 0) {
        status =
            reason_refuse(sqlite->medium.reason, CKPT_ERR_CORRUPT,
                          "%s is damaged (%s): look at the disk, then bring the state directory "
                          "back from a backup",
                          sqlite->path, verdict);
    }
    sqlite_progress(sqlite, NULL, 0, 0);
    return status;
}
