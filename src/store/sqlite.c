/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault_point.h"
#include "base/reason.h"
#include "store/mark.h"
#include "store/rules.h"
#include "store/sqlite_call.h"
#include "store/sqlite_open.h"
#include "store/sqlite_rows.h"
#include "store/sqlite_state.h"

static enum ckpt_status sqlite_open(const char *location, struct store_progress *progress,
                                    struct medium **medium_out, char *reason_out)
{
    struct sqlite *sqlite = calloc(1, sizeof(*sqlite));
    if (!sqlite) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for the record store");
    }
    sqlite->progress = progress;
    enum ckpt_status status = sqlite_open_files(location, sqlite);
    if (status != CKPT_OK) {
        memcpy(reason_out, sqlite->medium.reason, sizeof(sqlite->medium.reason));
        free(sqlite);
        return status;
    }
    *medium_out = &sqlite->medium;
    return CKPT_OK;
}

static enum ckpt_status sqlite_epoch(struct medium *medium, uint64_t *epoch_out)
{
    return sqlite_number((struct sqlite *)medium, STATEMENT_EPOCH, epoch_out);
}

static enum ckpt_status sqlite_replay(struct medium *medium, store_visit *visit, void *context)
{
    return sqlite_rows_replay((struct sqlite *)medium, visit, context);
}

static enum ckpt_status write_rows(struct sqlite *sqlite,
                                   const struct store_transaction *transaction,
                                   struct sqlite_extent *extent_out)
{
    uint64_t highest = 0;
    enum ckpt_status status = sqlite_number(sqlite, STATEMENT_EPOCH, &highest);
    if (status == CKPT_OK) {
        status = store_fence(highest, transaction, sqlite->medium.reason);
    }
    if (status == CKPT_OK) {
        status = sqlite_extent_read(sqlite, extent_out);
    }
    for (uint32_t i = 0; i < transaction->count && status == CKPT_OK; i++) {
        status = sqlite_row_add(sqlite, extent_out, transaction, &transaction->records[i]);
    }
    if (status == CKPT_OK) {
        status = sqlite_extent_write(sqlite, extent_out);
    }
    if (status == CKPT_OK && FAULT_POINT_ERROR(coordinator_in_transaction)) {
        status = reason_refuse(sqlite->medium.reason, CKPT_ERR_DISK,
                               "%s: fault point coordinator_in_transaction", sqlite->path);
    }
    return status;
}

static enum ckpt_status sqlite_commit(struct medium *medium,
                                      const struct store_transaction *transaction)
{
    struct sqlite *sqlite = (struct sqlite *)medium;
    struct sqlite_extent extent = {0};
    enum ckpt_status status = sqlite_run(sqlite, STATEMENT_BEGIN);
    if (status != CKPT_OK) {
        return status;
    }
    status = write_rows(sqlite, transaction, &extent);
    if (status == CKPT_OK) {
        status = sqlite_run(sqlite, STATEMENT_COMMIT);
    }
    if (status != CKPT_OK) {
        /* After some errors SQLite has rolled back by itself.
         * The first reason is the one to keep. */
        if (!sqlite3_get_autocommit(sqlite->database)) {
            sqlite3_step(sqlite->statements[STATEMENT_ROLLBACK]);
            sqlite3_reset(sqlite->statements[STATEMENT_ROLLBACK]);
        }
        return status;
    }
    /* What is committed stays so, mark or not: one that lags only asks for less. */
    (void)store_mark_write(sqlite->mark_fd, extent.last);
    return CKPT_OK;
}

static void sqlite_close(struct medium *medium)
{
    struct sqlite *sqlite = (struct sqlite *)medium;
    sqlite_close_files(sqlite);
    free(sqlite);
}

const struct medium_kind medium_sqlite = {
    .open = sqlite_open,
    .epoch = sqlite_epoch,
    .replay = sqlite_replay,
    .commit = sqlite_commit,
    .close = sqlite_close,
};
