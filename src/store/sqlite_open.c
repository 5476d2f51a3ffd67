/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_open.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reason.h"
#include "store/errno_status.h"
#include "store/lock.h"
#include "store/mark.h"
#include "store/sqlite_call.h"
#include "store/sqlite_connect.h"
#include "store/sqlite_convert.h"
#include "store/sqlite_rows.h"
#include "store/sqlite_schema.h"

static enum ckpt_status make_directory(const char *directory, char *reason_out)
{
    struct stat found;
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        return reason_refuse(reason_out, store_errno_status(errno),
                             "cannot make the state directory %s: %s: make it, owned by the user "
                             "that ckptctld runs as",
                             directory, strerror(errno));
    }
    if (stat(directory, &found) != 0 || !S_ISDIR(found.st_mode)) {
        return reason_refuse(reason_out, CKPT_ERR_SYSTEM, "%s is not a directory", directory);
    }
    if (access(directory, R_OK | W_OK | X_OK) != 0) {
        return reason_refuse(reason_out, CKPT_ERR_SYSTEM, "cannot write into %s: %s", directory,
                             strerror(errno));
    }
    return CKPT_OK;
}

static enum ckpt_status check_mark(struct sqlite *sqlite, uint64_t mark)
{
    struct sqlite_extent extent = {0};
    enum ckpt_status status = sqlite_extent_read(sqlite, &extent);
    if (status == CKPT_OK && extent.last < mark) {
        status = reason_refuse(sqlite->medium.reason, CKPT_ERR_CORRUPT,
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
        status = sqlite_schema_extend(sqlite, version);
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

enum ckpt_status sqlite_open_files(const char *directory, struct sqlite *sqlite)
{
    char *reason = sqlite->medium.reason;
    char path[PATH_MAX];
    uint64_t mark = 0;
    sqlite->lock_fd = -1;
    sqlite->mark_fd = -1;
    if (strlen(directory) > PATH_MAX - 32) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM,
                             "the name of the state directory is too long");
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
