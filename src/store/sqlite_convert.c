/* SPDX-License-Identifier: Apache-2.0 */
/* Databases of schema version 1, which kept a row of every record that ever was.
 *
 * What still matters is copied into a new database beside the old one, which then takes its name. A
 * process that dies in between finds the old one as it was.
 *
 * There may be many millions of rows of which a few hundred matter: what is copied is proven row by
 * row, what is left behind by numbers. Rows were numbered without a gap, so none is missing when as
 * many are there as the last one's number; and a consistent checkpoint had its shards until a row
 * retired it, so none has lost them when consistent rows without shards are as many as rows that
 * retire. Where the numbers say otherwise all rows are read, and the damaged one is named. */

#include "store/sqlite_convert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/reason.h"
#include "store/rules.h"
#include "store/sqlite_call.h"
#include "store/sqlite_connect.h"
#include "store/sqlite_rows.h"
#include "store/sqlite_schema.h"

#define PROGRESS_ROWS 1024

struct conversion {
    struct sqlite *from;
    struct sqlite *to;
    sqlite3_stmt *rows;
    sqlite3_stmt *retired; /* the last row that retires a checkpoint */
    struct coordinator_record_shard *shards;
    struct sqlite_extent extent;
    uint64_t last; /* row of the old database */
};

/* Nobody else, and no log beside the file: it would be taken for the new database's. */
static enum ckpt_status seal_old(struct sqlite *from)
{
    char mode[16];
    enum ckpt_status status =
        sqlite_execute(from, "PRAGMA locking_mode = EXCLUSIVE", "have it alone to convert it");
    if (status == CKPT_OK) {
        status = sqlite_ask(from, "PRAGMA journal_mode = DELETE", mode, sizeof(mode));
    }
    if (status == CKPT_OK && strcmp(mode, "delete") != 0) {
        status = reason_refuse(from->medium.reason, CKPT_ERR_TIMEOUT,
                               "%s: another program has it open: end that one to convert it",
                               from->path);
    }
    if (status == CKPT_OK) {
        status = sqlite_execute(from, "BEGIN EXCLUSIVE", "have it alone to convert it");
    }
    return status;
}

#define OLD_ROW SQLITE_COLUMNS_1 SQLITE_NOT_IN_1 ", shards.sizes_and_digests"

/* All of them; and those that may matter, found without the index of what is checked. */
static const char every_row[] = "SELECT " OLD_ROW " FROM record LEFT JOIN shards ON shards.record ="
                                " record.id ORDER BY record.id";
static const char rows_that_matter[] =
    "SELECT " SQLITE_COLUMNS_1 SQLITE_NOT_IN_1
    ", NULL FROM record WHERE type NOT IN (2, 3) UNION ALL"
    " SELECT " OLD_ROW " FROM shards CROSS JOIN record ON record.id = shards.record ORDER BY 1";
_Static_assert(RECORD_CONSISTENT == 2 && RECORD_RETIRED == 3, "the statements say the same");

static enum ckpt_status prepare_old(struct conversion *c, const char *rows)
{
    static const char retired[] =
        "SELECT ifnull(max(id), 0) FROM record WHERE type = 3 AND uid = ? AND run = ?"
        " AND attempt = ? AND step = ?";
    sqlite3_finalize(c->rows);
    sqlite3_finalize(c->retired);
    c->rows = c->retired = NULL;
    int result = sqlite3_prepare_v2(c->from->database, rows, -1, &c->rows, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_prepare_v2(c->from->database, retired, -1, &c->retired, NULL);
    }
    return result == SQLITE_OK ? CKPT_OK : sqlite_refuse(c->from, result, "prepare a statement");
}

static enum ckpt_status is_retired_later(struct conversion *c, uint64_t row,
                                         const struct coordinator_record *record, bool *retired_out)
{
    enum ckpt_status status = CKPT_OK;
    sqlite3_bind_int64(c->retired, 1, record->run.uid);
    sqlite3_bind_text(c->retired, 2, record->run.name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(c->retired, 3, record->attempt);
    sqlite3_bind_int64(c->retired, 4, (sqlite3_int64)record->step);
    int result = sqlite3_step(c->retired);
    if (result == SQLITE_ROW) {
        *retired_out = (uint64_t)sqlite3_column_int64(c->retired, 0) > row;
    } else {
        status = sqlite_refuse(c->from, result, "read it");
    }
    sqlite3_reset(c->retired);
    return status;
}

static enum ckpt_status take_reason(struct conversion *c, enum ckpt_status status)
{
    memcpy(c->from->medium.reason, c->to->medium.reason, sizeof(c->from->medium.reason));
    return status;
}

/* Copies the row that the statement is at, under its number, unless it is void. */
static enum ckpt_status copy_row(struct conversion *c, uint64_t row)
{
    struct coordinator_record record;
    bool is_void = false;
    enum ckpt_status status = sqlite_row_read(c->from, c->rows, NULL, &record);
    if (status == CKPT_OK &&
        (record.type == RECORD_CONSISTENT || record.type == RECORD_QUARANTINED)) {
        status = is_retired_later(c, row, &record, &is_void);
    }
    if (status != CKPT_OK || is_void || !store_is_kept(&record)) {
        return status;
    }
    status = sqlite_row_read(c->from, c->rows, c->shards, &record);
    if (status != CKPT_OK) {
        return status;
    }
    struct store_transaction transaction = {.records = &record, .count = 1};
    c->extent.last = row - 1;
    status = sqlite_row_add(c->to, &c->extent, &transaction, &record);
    return status == CKPT_OK ? CKPT_OK : take_reason(c, status);
}

/* Copies what the statement gives; every_row's rows must be numbered without a gap. */
static enum ckpt_status copy_rows(struct conversion *c, bool every)
{
    enum ckpt_status status = CKPT_OK;
    uint64_t row = 0;
    int result = SQLITE_ROW;
    while (status == CKPT_OK && (result = sqlite3_step(c->rows)) == SQLITE_ROW) {
        uint64_t before = row;
        row = (uint64_t)sqlite3_column_int64(c->rows, COLUMN_ID);
        if (every && row != before + 1) {
            return sqlite_refuse_row(c->from, before + 1, "is missing");
        }
        status = copy_row(c, row);
        if (row / PROGRESS_ROWS != before / PROGRESS_ROWS) {
            sqlite_progress(c->from, "converting", row, c->last);
        }
    }
    if (status == CKPT_OK && result != SQLITE_DONE) {
        status = sqlite_refuse(c->from, result, "read the records");
    }
    if (status == CKPT_OK && every && row != c->last) {
        status = sqlite_refuse_row(c->from, row + 1, "is missing");
    }
    c->extent.last = c->last;
    return status;
}

/* Whether the numbers say that nothing is missing. */
static enum ckpt_status count_old(struct conversion *c, bool *whole_out)
{
    static const char *const questions[] = {
        "SELECT count(*) FROM record",
        "SELECT count(*) FROM record INDEXED BY record_consistent WHERE type = 2",
        "SELECT count(*) FROM record INDEXED BY record_retired WHERE type = 3",
        "SELECT count(*) FROM shards",
    };
    long counts[4] = {0};
    enum ckpt_status status = CKPT_OK;
    for (size_t i = 0; i < 4 && status == CKPT_OK; i++) {
        sqlite_progress(c->from, "counting", i, 4);
        status = sqlite_ask_number(c->from, questions[i], &counts[i]);
    }
    *whole_out = (uint64_t)counts[0] == c->last && counts[1] - counts[3] == counts[2];
    return status;
}

/* All rows into the new database, which lies in its file alone afterwards. */
static enum ckpt_status fill_new(struct conversion *c)
{
    long busy = 1;
    enum ckpt_status status = sqlite_run(c->to, STATEMENT_BEGIN);
    if (status != CKPT_OK) {
        return take_reason(c, status);
    }
    bool whole = false;
    status = count_old(c, &whole);
    if (status == CKPT_OK && !whole) {
        status = sqlite_check(c->from);
    }
    if (status == CKPT_OK) {
        status = prepare_old(c, whole ? rows_that_matter : every_row);
    }
    if (status == CKPT_OK) {
        status = copy_rows(c, !whole);
    }
    if (status != CKPT_OK) {
        return status;
    }
    status = sqlite_extent_write(c->to, &c->extent);
    if (status == CKPT_OK) {
        status = sqlite_run(c->to, STATEMENT_COMMIT);
    }
    if (status == CKPT_OK) {
        status = sqlite_ask_number(c->to, "PRAGMA wal_checkpoint(TRUNCATE)", &busy);
    }
    if (status == CKPT_OK && busy != 0) {
        status = reason_refuse(c->to->medium.reason, CKPT_ERR_TIMEOUT,
                               "%s: another program reads it", c->to->path);
    }
    return status == CKPT_OK ? CKPT_OK : take_reason(c, status);
}

static void remove_left(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char name[PATH_MAX + 16];
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        unlink(name);
    }
}

static enum ckpt_status open_new(struct conversion *c, const char *directory)
{
    snprintf(c->to->path, sizeof(c->to->path), "%s/records.db.new", directory);
    remove_left(c->to->path);
    enum ckpt_status status = sqlite_connect(c->to);
    if (status == CKPT_OK) {
        status = sqlite_schema_make(c->to);
    }
    return status == CKPT_OK ? CKPT_OK : take_reason(c, status);
}

static enum ckpt_status look_at_old(struct conversion *c, uint64_t mark)
{
    long last = 0;
    enum ckpt_status status =
        sqlite_ask_number(c->from, "SELECT ifnull(max(id), 0) FROM record", &last);
    c->last = (uint64_t)last;
    if (status == CKPT_OK && c->last < mark) {
        status = reason_refuse(c->from->medium.reason, CKPT_ERR_CORRUPT,
                               "%s ends at row %" PRIu64 ", but row %" PRIu64
                               " was committed: its write-ahead log is damaged or it was replaced; "
                               "if by a backup, and on purpose, remove records.mark beside it",
                               c->from->path, c->last, mark);
    }
    return status;
}

static enum ckpt_status replace_old(const struct conversion *c, const char *directory)
{
    if (rename(c->to->path, c->from->path) != 0) {
        return reason_refuse(c->from->medium.reason, CKPT_ERR_DISK, "cannot rename %s to %s: %s",
                             c->to->path, c->from->path, strerror(errno));
    }
    return sqlite_sync_directory(directory, c->from->medium.reason);
}

enum ckpt_status sqlite_convert(struct sqlite *sqlite, const char *directory, uint64_t mark)
{
    struct conversion c = {.from = sqlite,
                           .to = calloc(1, sizeof(*c.to)),
                           .shards = calloc(CKPT_WORLD_MAX, sizeof(*c.shards))};
    enum ckpt_status status = CKPT_ERR_MEMORY;
    if (!c.to || !c.shards) {
        status = sqlite_refuse(sqlite, SQLITE_NOMEM, "convert it");
        goto free_memory;
    }
    status = seal_old(sqlite);
    if (status == CKPT_OK) {
        status = look_at_old(&c, mark);
    }
    if (status == CKPT_OK) {
        status = open_new(&c, directory);
    }
    if (status == CKPT_OK) {
        status = fill_new(&c);
    }
    sqlite_disconnect(c.to);
    if (status == CKPT_OK) {
        status = replace_old(&c, directory);
    }
    sqlite3_finalize(c.rows);
    sqlite3_finalize(c.retired);
    sqlite_disconnect(sqlite);
    sqlite_progress(sqlite, NULL, 0, 0);

free_memory:
    free(c.shards);
    free(c.to);
    return status;
}
