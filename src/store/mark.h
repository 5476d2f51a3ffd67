/* SPDX-License-Identifier: Apache-2.0 */
/* How far the database once reached, kept beside it.
 *
 * A damaged frame of a write-ahead log looks to SQLite like the log's end, so what was committed
 * behind it would be gone without a word, and `latest` of a run would have moved back. The mark is
 * the number of the last committed row, written after each commit. It is not synced: a mark that
 * lags after a power cut is harmless, it only ever asks for too little. */
#ifndef CKPT_STORE_MARK_H
#define CKPT_STORE_MARK_H

#include <stdint.h>

#include <ckpt/status.h>

#define STORE_MARK_BYTES 16 /* le32 magic, le32 crc32c of the rest, le64 row */

/* Opens or makes the mark. *row_out is the row it names, 0 for a new one. *fd_out is the caller's
 * to close. CKPT_ERR_SYSTEM (cannot be opened or read), CKPT_ERR_FULL (no room for a new one) and
 * CKPT_ERR_CORRUPT (its bytes are not a mark) with a line in reason_out. */
enum ckpt_status store_mark_open(const char *path, int *fd_out, uint64_t *row_out,
                                 char *reason_out);

/* CKPT_ERR_DISK when it cannot be written. */
enum ckpt_status store_mark_write(int fd, uint64_t row);

#endif
