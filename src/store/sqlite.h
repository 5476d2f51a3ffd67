/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the SQLite backend: the backend's functions (sqlite.c), files and the connection
 * (sqlite_open.c), tables and statements (sqlite_schema.c), rows (sqlite_rows.c), and databases of
 * version 1 (sqlite_convert.c). */
#ifndef CKPT_STORE_SQLITE_H
#define CKPT_STORE_SQLITE_H

#include <limits.h>
#include <sqlite3.h>

#include "store/backend.h"

#define SQLITE_SCHEMA_VERSION 3
#define SQLITE_APPLICATION_ID 0x434b5054 /* "CKPT", what file(1) and we know the database by */

enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_EPOCH,              /* the highest */
    STATEMENT_EXTENT,             /* what there must be */
    STATEMENT_SET_EXTENT,         /* the same, written */
    STATEMENT_INSERT,             /* a record */
    STATEMENT_ADD_SHARDS,         /* of a consistent checkpoint */
    STATEMENT_FIND_OF_RUN,        /* a row of a type and run */
    STATEMENT_FIND_OF_CHECKPOINT, /* a row of a type, run, attempt and step */
    STATEMENT_DELETE,             /* a row */
    STATEMENT_DELETE_SHARDS,      /* of a row */
    STATEMENT_REPLAY,             /* all records with their shards */
    STATEMENT_COUNT
};

/* What the database must hold: a row that is missing, or that was put there by others, shows here,
 * as each row shows its own damage by its checksum. */
struct sqlite_extent {
    uint64_t last; /* number of the last record ever committed, whether its row is still there */
    uint64_t rows;
    uint64_t sum; /* of the rows' shares, which come of their numbers and checksums */
};

struct sqlite {
    struct store store;
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct store_progress *progress;
    int lock_fd;
    int mark_fd;
    char path[PATH_MAX]; /* of the database */
};

/* Folds a result code of SQLite into a status, and writes to the store's reason what was tried,
 * SQLite's words and what to do. */
enum ckpt_status sqlite_refuse(struct sqlite *sqlite, int result, const char *what);

/* The same for a row whose content is not what was written. */
enum ckpt_status sqlite_refuse_row(struct sqlite *sqlite, uint64_t row, const char *what);

/* Runs a statement that gives one number: CKPT_OK and the number. */
enum ckpt_status sqlite_number(struct sqlite *sqlite, enum statement statement,
                               uint64_t *number_out);

/* Runs a statement that gives nothing. */
enum ckpt_status sqlite_run(struct sqlite *sqlite, enum statement statement);

/* SQL without parameters or results. */
enum ckpt_status sqlite_execute(struct sqlite *sqlite, const char *sql, const char *what);

/* A pragma's or query's first value, as text and as a number. */
enum ckpt_status sqlite_ask(struct sqlite *sqlite, const char *sql, char *text_out, size_t bytes);
enum ckpt_status sqlite_ask_number(struct sqlite *sqlite, const char *sql, long *number_out);

/* Says how far a long work is; nothing without a progress. */
void sqlite_progress(struct sqlite *sqlite, const char *what, uint64_t done, uint64_t of);

enum ckpt_status sqlite_open_files(const char *directory, struct sqlite *sqlite);
void sqlite_close_files(struct sqlite *sqlite);

/* Opens the connection to sqlite->path, made where it is missing, and closes it. */
enum ckpt_status sqlite_connect(struct sqlite *sqlite);
void sqlite_disconnect(struct sqlite *sqlite);

/* The schema version of the open database; 0 for one without tables. CKPT_ERR_CORRUPT when it is
 * none of ours, CKPT_ERR_VERSION for a later one. */
enum ckpt_status sqlite_schema_version(struct sqlite *sqlite, long *version_out);

enum ckpt_status sqlite_schema_make(struct sqlite *sqlite);

/* Makes the open database of version 2 one of this version, in its place. */
enum ckpt_status sqlite_schema_extend(struct sqlite *sqlite);
enum ckpt_status sqlite_prepare(struct sqlite *sqlite);

/* SQLite's own check of its structure. */
enum ckpt_status sqlite_check(struct sqlite *sqlite);

/* Replaces the open database of version 1, whose mark is given, by one of this version, and leaves
 * the connection closed. Whole or not at all: it is made beside and renamed. */
enum ckpt_status sqlite_convert(struct sqlite *sqlite, const char *directory, uint64_t mark);

/* New names in a directory are durable only with it. */
enum ckpt_status sqlite_sync_directory(const char *directory, char *reason_out);

/* Inside a transaction. */
enum ckpt_status sqlite_extent_read(struct sqlite *sqlite, struct sqlite_extent *extent_out);
enum ckpt_status sqlite_extent_write(struct sqlite *sqlite, const struct sqlite_extent *extent);

/* Inside a transaction: one record as the next row, without what it makes void. */
enum ckpt_status sqlite_row_add(struct sqlite *sqlite, struct sqlite_extent *extent,
                                const struct store_transaction *transaction,
                                const struct coordinator_record *record);

/* Columns of a row, as every statement that reads whole rows gives them. */
enum column {
    COLUMN_ID,
    COLUMN_TYPE,
    COLUMN_EPOCH,
    COLUMN_UID,
    COLUMN_RUN,
    COLUMN_ATTEMPT,
    COLUMN_STEP,
    COLUMN_WORLD,
    COLUMN_COPIES,
    COLUMN_BYTES,
    COLUMN_REASON,
    COLUMN_SHARDS_CRC,
    COLUMN_CRC,
    COLUMN_WALL,   /* not in version 1 */
    COLUMN_SHARDS, /* joined */
};
#define SQLITE_COLUMNS SQLITE_COLUMNS_1 ", record.wall_ms"
#define SQLITE_COLUMNS_1                                                                           \
    "record.id, record.type, record.epoch, record.uid, record.run, record.attempt, record.step,"   \
    " record.world, record.copies, record.bytes, record.reason, record.shards_crc, record.crc"

/* The record of a row; a consistent checkpoint's shards go into `shards`, room for CKPT_WORLD_MAX,
 * unless that is NULL. CKPT_ERR_CORRUPT, with the reason, when it is not what was written. */
enum ckpt_status sqlite_row_read(struct sqlite *sqlite, sqlite3_stmt *row,
                                 struct coordinator_record_shard *shards,
                                 struct coordinator_record *record_out);

enum ckpt_status sqlite_rows_replay(struct sqlite *sqlite, store_visit *visit, void *context);

#endif
