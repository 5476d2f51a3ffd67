/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the database: one process, the right file, the right version, sound, and not shorter than
 * it once was. */
#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/lock.h"
#include "store/mark.h"

/* Rows are only ever added to record. What is large and must be dropped in time, the shards of
 * retired checkpoints, is a table of its own; the pages it frees are used again by the next commit,
 * so the file grows by some 300 bytes a checkpoint and is never vacuumed. */
static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE record ("
    "  id INTEGER PRIMARY KEY,"
    "  type INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    "  uid INTEGER NOT NULL, run TEXT NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL,"
    "  world INTEGER NOT NULL, copies INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    "  reason TEXT NOT NULL, shards_crc INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;"
    "CREATE INDEX record_epoch ON record (epoch) WHERE type = 1;"
    "CREATE INDEX record_consistent ON record (uid, run, attempt, step) WHERE type = 2;"
    "CREATE INDEX record_retired ON record (uid, run, attempt, step) WHERE type = 3;"
    "CREATE TABLE shards (record INTEGER PRIMARY KEY, sizes_and_digests BLOB NOT NULL) STRICT;"
    "PRAGMA application_id = 1129009236;"
    "PRAGMA user_version = 1;"
    "COMMIT;";
_Static_assert(SQLITE_APPLICATION_ID == 1129009236 && SQLITE_SCHEMA_VERSION == 1 &&
                   RECORD_EPOCH == 1 && RECORD_CONSISTENT == 2 && RECORD_RETIRED == 3,
               "the schema says the same");

static const char *const statements[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    [STATEMENT_EPOCH] = "SELECT ifnull(max(epoch), 0) FROM record WHERE type = 1",
    [STATEMENT_LAST] = "SELECT ifnull(max(id), 0) FROM record",
    [STATEMENT_INSERT] = "INSERT INTO record VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [STATEMENT_ADD_SHARDS] = "INSERT INTO shards VALUES (?,?)",
    [STATEMENT_DROP_SHARDS] = "DELETE FROM shards WHERE record IN (SELECT id FROM record WHERE"
                              " type = 2 AND uid = ? AND run = ? AND attempt = ? AND step = ?)",
    [STATEMENT_REPLAY] = "SELECT record.*, shards.sizes_and_digests FROM record LEFT JOIN shards"
                         " ON shards.record = record.id ORDER BY record.id",
    [STATEMENT_IS_RETIRED] = "SELECT ifnull(max(id), 0) FROM record WHERE type = 3 AND uid = ?"
                             " AND run = ? AND attempt = ? AND step = ?",
};

enum ckpt_status sqlite_refuse(struct sqlite *sqlite, int result, const char *what)
{
    int kind = result & 0xff;
    if (kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB) {
        return store_refuse(sqlite->store.reason, CKPT_ERR_CORRUPT,
                            "%s: %s (%s): the record database is damaged; look at the disk, then "
                            "bring the state directory back from a backup",
                            sqlite->path, sqlite3_errstr(result), what);
    }
    if (kind == SQLITE_NOMEM) {
        return store_refuse(sqlite->store.reason, CKPT_ERR_MEMORY, "no memory to %s", what);
    }
    const char *hint = kind == SQLITE_FULL    ? "; make room on its file system"
                       : kind == SQLITE_BUSY  ? "; another program holds a lock on it"
                       : kind == SQLITE_IOERR ? "; look at the disk"
                                              : "";
    return store_refuse(sqlite->store.reason, CKPT_ERR_DISK, "%s: cannot %s: %s%s", sqlite->path,
                        what, sqlite3_errmsg(sqlite->database), hint);
}

static enum ckpt_status make_directory(const char *directory, char *reason_out)
{
    struct stat found;
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        return store_refuse(reason_out, CKPT_ERR_SYSTEM,
                            "cannot make the state directory %s: %s: make it, owned by the user "
                            "that ckptctld runs as",
                            directory, strerror(errno));
    }
    if (stat(directory, &found) != 0 || !S_ISDIR(found.st_mode)) {
        return store_refuse(reason_out, CKPT_ERR_SYSTEM, "%s is not a directory", directory);
    }
    if (access(directory, R_OK | W_OK | X_OK) != 0) {
        return store_refuse(reason_out, CKPT_ERR_SYSTEM, "cannot write into %s: %s", directory,
                            strerror(errno));
    }
    return CKPT_OK;
}

/* A pragma's or query's first value as text. */
static enum ckpt_status ask(struct sqlite *sqlite, const char *sql, char *text_out, size_t bytes)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(sqlite->database, sql, -1, &statement, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_step(statement);
    }
    enum ckpt_status status = CKPT_OK;
    if (result == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(statement, 0);
        snprintf(text_out, bytes, "%s", text ? (const char *)text : "");
    } else if (result == SQLITE_DONE) {
        text_out[0] = '\0';
    } else {
        status = sqlite_refuse(sqlite, result, sql);
    }
    sqlite3_finalize(statement);
    return status;
}

static enum ckpt_status ask_number(struct sqlite *sqlite, const char *sql, long *number_out)
{
    char text[32];
    enum ckpt_status status = ask(sqlite, sql, text, sizeof(text));
    if (status == CKPT_OK && sscanf(text, "%ld", number_out) != 1) {
        status = store_refuse(sqlite->store.reason, CKPT_ERR_INTERNAL, "'%s' has no answer", sql);
    }
    return status;
}

static enum ckpt_status open_database(struct sqlite *sqlite)
{
    /* Made here for its mode: SQLite gives the log beside it the same. */
    int fd = open(sqlite->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return store_refuse(sqlite->store.reason, CKPT_ERR_SYSTEM, "cannot open %s: %s",
                            sqlite->path, strerror(errno));
    }
    close(fd);
    int result = sqlite3_open_v2(sqlite->path, &sqlite->database,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result != SQLITE_OK) {
        return sqlite_refuse(sqlite, result, "open it");
    }
    sqlite3_extended_result_codes(sqlite->database, 1);
    sqlite3_busy_timeout(sqlite->database, 2000);
    static const char settings[] = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
                                   "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;";
    result = sqlite3_exec(sqlite->database, settings, NULL, NULL, NULL);
    if (result != SQLITE_OK) {
        return sqlite_refuse(sqlite, result, "set it up");
    }
    char mode[16];
    enum ckpt_status status = ask(sqlite, "PRAGMA journal_mode = WAL", mode, sizeof(mode));
    if (status == CKPT_OK && strcmp(mode, "wal") != 0) {
        status = store_refuse(sqlite->store.reason, CKPT_ERR_DISK,
                              "%s: its file system cannot hold a write-ahead log: put the state "
                              "directory on a local disk",
                              sqlite->path);
    }
    long synchronous = 0;
    if (status == CKPT_OK) {
        status = ask_number(sqlite, "PRAGMA synchronous", &synchronous);
    }
    if (status == CKPT_OK && synchronous != 2) {
        status =
            store_refuse(sqlite->store.reason, CKPT_ERR_INTERNAL,
                         "this SQLite does not sync each commit (synchronous is %ld)", synchronous);
    }
    return status;
}

static enum ckpt_status check_schema(struct sqlite *sqlite)
{
    long tables;
    long application;
    long version;
    enum ckpt_status status = ask_number(sqlite, "SELECT count(*) FROM sqlite_schema", &tables);
    if (status == CKPT_OK) {
        status = ask_number(sqlite, "PRAGMA application_id", &application);
    }
    if (status == CKPT_OK) {
        status = ask_number(sqlite, "PRAGMA user_version", &version);
    }
    if (status != CKPT_OK) {
        return status;
    }
    if (tables == 0 && application == 0 && version == 0) {
        int result = sqlite3_exec(sqlite->database, schema, NULL, NULL, NULL);
        return result == SQLITE_OK ? CKPT_OK : sqlite_refuse(sqlite, result, "make its tables");
    }
    if (application != SQLITE_APPLICATION_ID) {
        return store_refuse(sqlite->store.reason, CKPT_ERR_CORRUPT,
                            "%s is a database of another program (application id %ld), or damaged",
                            sqlite->path, application);
    }
    if (version != SQLITE_SCHEMA_VERSION) {
        return store_refuse(sqlite->store.reason, CKPT_ERR_VERSION,
                            "%s has schema version %ld, this ckptctld knows %d: start the version "
                            "that wrote it",
                            sqlite->path, version, SQLITE_SCHEMA_VERSION);
    }
    return CKPT_OK;
}

static enum ckpt_status check_content(struct sqlite *sqlite, uint64_t mark)
{
    char verdict[128];
    enum ckpt_status status = ask(sqlite, "PRAGMA integrity_check(1)", verdict, sizeof(verdict));
    if (status == CKPT_OK && strcmp(verdict, "ok") != 0) {
        status =
            store_refuse(sqlite->store.reason, CKPT_ERR_CORRUPT,
                         "%s is damaged (%s): look at the disk, then bring the state directory "
                         "back from a backup",
                         sqlite->path, verdict);
    }
    if (status == CKPT_OK) {
        status = sqlite_number(sqlite, STATEMENT_LAST, &sqlite->last_row);
    }
    if (status == CKPT_OK && sqlite->last_row < mark) {
        status = store_refuse(sqlite->store.reason, CKPT_ERR_CORRUPT,
                              "%s ends at row %" PRIu64 ", but row %" PRIu64
                              " was committed: its write-ahead log is damaged or it was replaced; "
                              "if by a backup, and on purpose, remove records.mark beside it",
                              sqlite->path, sqlite->last_row, mark);
    }
    return status;
}

static enum ckpt_status prepare(struct sqlite *sqlite)
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

/* New names in a directory are durable only with it. */
static enum ckpt_status sync_directory(const char *directory, char *reason_out)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    return good ? CKPT_OK
                : store_refuse(reason_out, CKPT_ERR_DISK, "cannot sync %s: %s", directory,
                               strerror(error));
}

enum ckpt_status sqlite_open_files(const char *directory, struct sqlite *sqlite)
{
    char *reason = sqlite->store.reason;
    char path[PATH_MAX];
    uint64_t mark = 0;
    sqlite->lock_fd = -1;
    sqlite->mark_fd = -1;
    if (strlen(directory) > PATH_MAX - 32) {
        return store_refuse(reason, CKPT_ERR_SYSTEM, "the name of the state directory is too long");
    }
    enum ckpt_status status = make_directory(directory, reason);
    if (status == CKPT_OK) {
        snprintf(path, sizeof(path), "%s/ckptctld.lock", directory);
        status = store_lock_take(path, &sqlite->lock_fd, reason);
    }
    if (status == CKPT_OK) {
        snprintf(path, sizeof(path), "%s/records.mark", directory);
        status = store_mark_open(path, &sqlite->mark_fd, &mark, reason);
    }
    if (status == CKPT_OK) {
        snprintf(sqlite->path, sizeof(sqlite->path), "%s/records.db", directory);
        status = open_database(sqlite);
    }
    if (status == CKPT_OK) {
        status = check_schema(sqlite);
    }
    if (status == CKPT_OK) {
        status = prepare(sqlite);
    }
    if (status == CKPT_OK) {
        status = check_content(sqlite, mark);
    }
    if (status == CKPT_OK) {
        status = sync_directory(directory, reason);
    }
    if (status != CKPT_OK) {
        sqlite_close_files(sqlite);
    }
    return status;
}

void sqlite_close_files(struct sqlite *sqlite)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(sqlite->statements[i]);
    }
    sqlite3_close(sqlite->database);
    if (sqlite->mark_fd >= 0) {
        close(sqlite->mark_fd);
    }
    /* Last: the next process may open the database from here on. */
    if (sqlite->lock_fd >= 0) {
        close(sqlite->lock_fd);
    }
}
