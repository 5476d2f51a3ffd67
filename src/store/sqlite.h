/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the SQLite backend: opening (sqlite_open.c), rows (sqlite_rows.c), the table
 * (sqlite.c). */
#ifndef CKPT_STORE_SQLITE_H
#define CKPT_STORE_SQLITE_H

#include <limits.h>
#include <sqlite3.h>

#include "store/backend.h"

#define SQLITE_SCHEMA_VERSION 1
#define SQLITE_APPLICATION_ID 0x434b5054 /* "CKPT", what file(1) and we know the database by */
#define SHARD_ROW_BYTES (8 + CKPT_DIGEST_BYTES)

enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_EPOCH,       /* the highest */
    STATEMENT_LAST,        /* number of the last row */
    STATEMENT_INSERT,      /* a record */
    STATEMENT_ADD_SHARDS,  /* of a consistent checkpoint */
    STATEMENT_DROP_SHARDS, /* of a retired one */
    STATEMENT_REPLAY,      /* all records with their shards */
    STATEMENT_IS_RETIRED,  /* whether a checkpoint was retired after a row */
    STATEMENT_COUNT
};

struct sqlite {
    struct store store;
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    int lock_fd;
    int mark_fd;
    uint64_t last_row;
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

enum ckpt_status sqlite_open_files(const char *directory, struct sqlite *sqlite);
void sqlite_close_files(struct sqlite *sqlite);

/* Inside a transaction: one record as row `row`, and what it adds or drops of shards. */
enum ckpt_status sqlite_row_insert(struct sqlite *sqlite, uint64_t row,
                                   const struct store_transaction *transaction,
                                   const struct coordinator_record *record);

enum ckpt_status sqlite_rows_replay(struct sqlite *sqlite, store_visit *visit, void *context);

#endif
