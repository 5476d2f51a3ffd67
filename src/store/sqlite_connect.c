/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_connect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reason.h"
#include "store/errno_status.h"
#include "store/sqlite_call.h"

#define BUSY_MS 500 /* a lock that another program holds for longer is said to the caller */

/* Keys of runs are in it: nobody else is to read it, or the log beside it that a process before
 * this one may have left, though a person or a backup gave them another mode. */
static enum ckpt_status hide(struct sqlite *sqlite, int fd)
{
    static const char *const beside[] = {"-wal", "-shm"};
    struct stat found;
    char path[PATH_MAX + 8];
    bool is_hidden = fstat(fd, &found) == 0 &&
                     ((found.st_mode & (S_IRWXG | S_IRWXO)) == 0 || fchmod(fd, 0600) == 0);
    for (size_t i = 0; i < 2 && is_hidden; i++) {
        snprintf(path, sizeof(path), "%s%s", sqlite->path, beside[i]);
        is_hidden = stat(path, &found) != 0 || (found.st_mode & (S_IRWXG | S_IRWXO)) == 0 ||
                    chmod(path, 0600) == 0;
    }
    return is_hidden
               ? CKPT_OK
               : reason_refuse(sqlite->medium.reason, CKPT_ERR_SYSTEM,
                               "others may read %s, which holds the keys of runs, and its "
                               "mode cannot be made 0600: %s: let the user that ckptctld runs "
                               "as own it",
                               sqlite->path, strerror(errno));
}

enum ckpt_status sqlite_connect(struct sqlite *sqlite)
{
    /* Made here for its mode: SQLite gives the log beside it the same. */
    int fd = open(sqlite->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return reason_refuse(sqlite->medium.reason, store_errno_status(errno), "cannot open %s: %s",
                             sqlite->path, strerror(errno));
    }
    enum ckpt_status hidden = hide(sqlite, fd);
    close(fd);
    if (hidden != CKPT_OK) {
        return hidden;
    }
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
        status = reason_refuse(sqlite->medium.reason, CKPT_ERR_DISK,
                               "%s: its file system cannot hold a write-ahead log: put the state "
                               "directory on a local disk",
                               sqlite->path);
    }
    long synchronous = 0;
    if (status == CKPT_OK) {
        status = sqlite_ask_number(sqlite, "PRAGMA synchronous", &synchronous);
    }
    if (status == CKPT_OK && synchronous != 2) {
        status = reason_refuse(sqlite->medium.reason, CKPT_ERR_INTERNAL,
                               "this SQLite does not sync each commit (synchronous is %ld)",
                               synchronous);
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

enum ckpt_status sqlite_sync_directory(const char *directory, char *reason_out)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    return good ? CKPT_OK
                : reason_refuse(reason_out, CKPT_ERR_DISK, "cannot sync %s: %s", directory,
                                strerror(error));
}
