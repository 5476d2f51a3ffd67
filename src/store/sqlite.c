/* SPDX-License-Identifier: Apache-2.0 */
/* The durable store: one SQLite database with a write-ahead log, synced at each commit. */
#include "store/sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault_point.h"
#include "store/mark.h"

static enum ckpt_status sqlite_open(const char *location, struct store_progress *progress,
                                    struct store **store_out, char *reason_out)
{
    struct sqlite *sqlite = calloc(1, sizeof(*sqlite));
    if (!sqlite) {
        return store_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for the record store");
    }
    sqlite->progress = progress;
    enum ckpt_status status = sqlite_open_files(location, sqlite);
    if (status != CKPT_OK) {
        memcpy(reason_out, sqlite->store.reason, sizeof(sqlite->store.reason));
        free(sqlite);
        return status;
    }
    *store_out = &sqlite->store;
    return CKPT_OK;
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

static enum ckpt_status sqlite_epoch(struct store *store, uint64_t *epoch_out)
{
    return sqlite_number((struct sqlite *)store, STATEMENT_EPOCH, epoch_out);
}

static enum ckpt_status sqlite_replay(struct store *store, store_visit *visit, void *context)
{
    return sqlite_rows_replay((struct sqlite *)store, visit, context);
}

static enum ckpt_status write_rows(struct sqlite *sqlite,
                                   const struct store_transaction *transaction,
                                   struct sqlite_extent *extent_out)
{
    uint64_t highest = 0;
    enum ckpt_status status = sqlite_number(sqlite, STATEMENT_EPOCH, &highest);
    if (status == CKPT_OK) {
        status = store_fence(highest, transaction, sqlite->store.reason);
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
        status = store_refuse(sqlite->store.reason, CKPT_ERR_DISK,
                              "%s: fault point coordinator_in_transaction", sqlite->path);
    }
    return status;
}

static enum ckpt_status sqlite_commit(struct store *store,
                                      const struct store_transaction *transaction)
{
    struct sqlite *sqlite = (struct sqlite *)store;
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

static void sqlite_close(struct store *store)
{
    struct sqlite *sqlite = (struct sqlite *)store;
    sqlite_close_files(sqlite);
    free(sqlite);
}

const struct store_backend store_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .epoch = sqlite_epoch,
    .replay = sqlite_replay,
    .commit = sqlite_commit,
    .close = sqlite_close,
};
