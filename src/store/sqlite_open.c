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

#define BUSY_MS 500 /* a lock that another program holds for longer is said to the caller */

/* The errno of the last call that failed on the log, or else on the database; else, as the shared
 * memory has no such memory, the process's. */
static int last_errno(struct sqlite *sqlite)
{
    int now = errno;
    int error = 0;
    sqlite3_file *log = NULL;
    sqlite3_file_control(sqlite->database, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (log && log->pMethods) {
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &error);
    }
    if (error == 0) {
        sqlite3_file_control(sqlite->database, "main", SQLITE_FCNTL_LAST_ERRNO, &error);
    }
    return error != 0 ? error : now;
}

/* Whether a call failed for want of room. A sync that fails so is another thing: what it was to
 * sync may be gone. */
static bool is_full(struct sqlite *sqlite, int result)
{
    switch (result) {
    case SQLITE_FULL:
        return true;
    case SQLITE_IOERR_WRITE:
    case SQLITE_IOERR_TRUNCATE:
    case SQLITE_IOERR_SHMSIZE:
    case SQLITE_IOERR_SHMOPEN:
        return store_errno_status(last_errno(sqlite)) == CKPT_ERR_FULL;
    default:
        return (result & 0xff) == SQLITE_CANTOPEN && store_errno_status(errno) == CKPT_ERR_FULL;
    }
}

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
    if (kind == SQLITE_BUSY || kind == SQLITE_PROTOCOL) {
        return store_refuse(sqlite->store.reason, CKPT_ERR_TIMEOUT,
                            "%s: cannot %s: another program holds a lock on it: end that one's "
                            "transaction",
                            sqlite->path, what);
    }
    if (is_full(sqlite, result)) {
        return store_refuse(sqlite->store.reason, CKPT_ERR_FULL,
                            "%s: cannot %s: no room: make some on its file system", sqlite->path,
                            what);
    }
    return store_refuse(sqlite->store.reason, CKPT_ERR_DISK, "%s: cannot %s: %s%s", sqlite->path,
                        what, sqlite3_errmsg(sqlite->database),
                        kind == SQLITE_IOERR ? "; look at the disk" : "");
}

static enum ckpt_status make_directory(const char *directory, char *reason_out)
{
    struct stat found;
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        return store_refuse(reason_out, store_errno_status(errno),
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

enum ckpt_status sqlite_execute(struct sqlite *sqlite, const char *sql, const char *what)
{
    int result = sqlite3_exec(sqlite->database, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? CKPT_OK : sqlite_refuse(sqlite, result, what);
}

void sqlite_progress(struct sqlite *sqlite, const char *what, uint64_t done, uint64_t of)
{
    if (sqlite->progress) {
        atomic_store(&sqlite->progress->what, what);
        atomic_store(&sqlite->progress->done, done);
        atomic_store(&sqlite->progress->of, of);
    }
}

enum ckpt_status sqlite_ask(struct sqlite *sqlite, const char *sql, char *text_out, size_t bytes)
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

enum ckpt_status sqlite_ask_number(struct sqlite *sqlite, const char *sql, long *number_out)
{
    char text[32];
    enum ckpt_status status = sqlite_ask(sqlite, sql, text, sizeof(text));
    if (status == CKPT_OK && sscanf(text, "%ld", number_out) != 1) {
        status = store_refuse(sqlite->store.reason, CKPT_ERR_INTERNAL, "'%s' has no answer", sql);
    }
    return status;
}

enum ckpt_status sqlite_connect(struct sqlite *sqlite)
{
    /* Made here for its mode: SQLite gives the log beside it the same. */
    int fd = open(sqlite->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return store_refuse(sqlite->store.reason, store_errno_status(errno), "cannot open %s: %s",
                            sqlite->path, strerror(errno));
    }
    close(fd);
    int result = sqlite3_open_v2(sqlite->path, &sqlite->database,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result != SQLITE_OK) {
        return sqlite_refuse(sqlite, result, "open it");
    }
    sqlite3_extended_result_codes(sqlite->database, 1);
    sqlite3_busy_timeout(sqlite->database, BUSY_MS);
    static const char settings[] = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
                                   "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;";
    char mode[16];
    enum ckpt_status status = sqlite_execute(sqlite, settings, "set it up");
    if (status == CKPT_OK) {
        status = sqlite_ask(sqlite, "PRAGMA journal_mode = WAL", mode, sizeof(mode));
    }
    if (status == CKPT_OK && strcmp(mode, "wal") != 0) {
        status = store_refuse(sqlite->store.reason, CKPT_ERR_DISK,
                              "%s: its file system cannot hold a write-ahead log: put the state "
                              "directory on a local disk",
                              sqlite->path);
    }
    long synchronous = 0;
    if (status == CKPT_OK) {
        status = sqlite_ask_number(sqlite, "PRAGMA synchronous", &synchronous);
    }
    if (status == CKPT_OK && synchronous != 2) {
        status =
            store_refuse(sqlite->store.reason, CKPT_ERR_INTERNAL,
                         "this SQLite does not sync each commit (synchronous is %ld)", synchronous);
    }
    return status;
}

void sqlite_disconnect(struct sqlite *sqlite)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(sqlite->statements[i]);
        sqlite->statements[i] = NULL;
    }
    sqlite3_close(sqlite->database);
    sqlite->database = NULL;
}

static enum ckpt_status check_mark(struct sqlite *sqlite, uint64_t mark)
{
    struct sqlite_extent extent = {0};
    enum ckpt_status status = sqlite_extent_read(sqlite, &extent);
    if (status == CKPT_OK && extent.last < mark) {
        status = store_refuse(sqlite->store.reason, CKPT_ERR_CORRUPT,
                              "%s ends at row %" PRIu64 ", but row %" PRIu64
                              " was committed: its write-ahead log is damaged or it was replaced; "
                              "if by a backup, and on purpose, remove records.mark beside it",
                              sqlite->path, extent.last, mark);
    }
    return status;
}

/* The database as this version wants it. */
static enum ckpt_status open_database(struct sqlite *sqlite, const char *directory, uint64_t mark)
{
    long version = 0;
    enum ckpt_status status = sqlite_connect(sqlite);
    if (status == CKPT_OK) {
        status = sqlite_schema_version(sqlite, &version);
    }
    if (status == CKPT_OK && version == 0) {
        status = sqlite_schema_make(sqlite);
    } else if (status == CKPT_OK && version == 1) {
        status = sqlite_convert(sqlite, directory, mark);
        if (status == CKPT_OK) {
            status = sqlite_connect(sqlite);
        }
    } else if (status == CKPT_OK && version < SQLITE_SCHEMA_VERSION) {
        status = sqlite_schema_extend(sqlite);
    }
    if (status == CKPT_OK && version != 0) {
        status = sqlite_prepare(sqlite);
    }
    if (status == CKPT_OK) {
        status = sqlite_check(sqlite);
    }
    if (status == CKPT_OK) {
        status = check_mark(sqlite, mark);
    }
    return status;
}

enum ckpt_status sqlite_sync_directory(const char *directory, char *reason_out)
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
        status = open_database(sqlite, directory, mark);
    }
    if (status == CKPT_OK) {
        status = sqlite_sync_directory(directory, reason);
    }
    if (status != CKPT_OK) {
        sqlite_close_files(sqlite);
    }
    return status;
}

void sqlite_close_files(struct sqlite *sqlite)
{
    sqlite_disconnect(sqlite);
    if (sqlite->mark_fd >= 0) {
        close(sqlite->mark_fd);
    }
    /* Last: the next process may open the database from here on. */
    if (sqlite->lock_fd >= 0) {
        close(sqlite->lock_fd);
    }
}
