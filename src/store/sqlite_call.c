/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_call.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/reason.h"
#include "store/errno_status.h"

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
        return reason_refuse(sqlite->medium.reason, CKPT_ERR_CORRUPT,
                             "%s: %s (%s): the record database is damaged; look at the disk, then "
                             "bring the state directory back from a backup",
                             sqlite->path, sqlite3_errstr(result), what);
    }
    if (kind == SQLITE_NOMEM) {
        return reason_refuse(sqlite->medium.reason, CKPT_ERR_MEMORY, "no memory to %s", what);
    }
    if (kind == SQLITE_BUSY || kind == SQLITE_PROTOCOL) {
        return reason_refuse(sqlite->medium.reason, CKPT_ERR_TIMEOUT,
                             "%s: cannot %s: another program holds a lock on it: end that one's "
                             "transaction",
                             sqlite->path, what);
    }
    if (is_full(sqlite, result)) {
        return reason_refuse(sqlite->medium.reason, CKPT_ERR_FULL,
                             "%s: cannot %s: no room: make some on its file system", sqlite->path,
                             what);
    }
    return reason_refuse(sqlite->medium.reason, CKPT_ERR_DISK, "%s: cannot %s: %s%s", sqlite->path,
                         what, sqlite3_errmsg(sqlite->database),
                         kind == SQLITE_IOERR ? "; look at the disk" : "");
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
        status = reason_refuse(sqlite->medium.reason, CKPT_ERR_INTERNAL, "'%s' has no answer", sql);
    }
    return status;
}

enum ckpt_status sqlite_number(struct sqlite *sqlite, enum statement statement,
                               uint64_t *number_out)
{
    sqlite3_stmt *prepared = sqlite->statements[statement];
    enum ckpt_status status = CKPT_OK;
    int result = sqlite3_step(prepared);
    if (result == SQLITE_ROW) {
        *number_out = (uint64_t)sqlite3_column_int64(prepared, 0);
    } else {
        status = sqlite_refuse(sqlite, result, "read it");
    }
    sqlite3_reset(prepared);
    return status;
}

enum ckpt_status sqlite_run(struct sqlite *sqlite, enum statement statement)
{
    sqlite3_stmt *prepared = sqlite->statements[statement];
    enum ckpt_status status = CKPT_OK;
    int result = sqlite3_step(prepared);
    if (result != SQLITE_DONE) {
        status = sqlite_refuse(sqlite, result, "write a record");
    }
    sqlite3_reset(prepared);
    sqlite3_clear_bindings(prepared);
    return status;
}

enum ckpt_status sqlite_refuse_row(struct sqlite *sqlite, uint64_t row, const char *what)
{
    return reason_refuse(sqlite->medium.reason, CKPT_ERR_CORRUPT,
                         "%s: row %" PRIu64 " %s: look at the disk, then bring the state directory "
                         "back from a backup",
                         sqlite->path, row, what);
}
