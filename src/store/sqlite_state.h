/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite medium: its ground, which all of its files stand on. */
#ifndef CKPT_STORE_SQLITE_STATE_H
#define CKPT_STORE_SQLITE_STATE_H

#include <limits.h>
#include <sqlite3.h>

#include "store/medium.h"

#define SQLITE_SCHEMA_VERSION 5
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
    struct medium medium;
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct store_progress *progress;
    int lock_fd;
    int mark_fd;
    char path[PATH_MAX]; /* of the database */
};

#endif
