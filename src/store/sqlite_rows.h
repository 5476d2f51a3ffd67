/* SPDX-License-Identifier: Apache-2.0 */
/* Records as rows, with the sum of them all. */
#ifndef CKPT_STORE_SQLITE_ROWS_H
#define CKPT_STORE_SQLITE_ROWS_H

#include "store/sqlite_state.h"

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
    COLUMN_KEY,    /* nor this one, nor in versions 2 and 3 */
    COLUMN_SHARDS, /* joined */
};
#define SQLITE_COLUMNS SQLITE_COLUMNS_1 ", record.wall_ms, record.digest_key"
#define SQLITE_NOT_IN_1 ", 0, x''"
#define SQLITE_COLUMNS_1                                                                           \
    "record.id, record.type, record.epoch, record.uid, record.run, record.attempt, record.step,"   \
    " record.world, record.copies, record.bytes, record.reason, record.shards_crc, record.crc"

/* Inside a transaction. */
enum ckpt_status sqlite_extent_read(struct sqlite *sqlite, struct sqlite_extent *extent_out);
enum ckpt_status sqlite_extent_write(struct sqlite *sqlite, const struct sqlite_extent *extent);

/* Inside a transaction: one record as the next row, without what it makes void. */
enum ckpt_status sqlite_row_add(struct sqlite *sqlite, struct sqlite_extent *extent,
                                const struct store_transaction *transaction,
                                const struct coordinator_record *record);

/* The record of a row; a consistent checkpoint's shards go into `shards`, room for CKPT_WORLD_MAX,
 * unless that is NULL. CKPT_ERR_CORRUPT, with the reason, when it is not what was written. */
enum ckpt_status sqlite_row_read(struct sqlite *sqlite, sqlite3_stmt *row,
                                 struct coordinator_record_shard *shards,
                                 struct coordinator_record *record_out);

enum ckpt_status sqlite_rows_replay(struct sqlite *sqlite, store_visit *visit, void *context);

#endif
