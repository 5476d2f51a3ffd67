/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of SQLite, and what is said when one fails. */
#ifndef CKPT_STORE_SQLITE_CALL_H
#define CKPT_STORE_SQLITE_CALL_H

#include "store/sqlite_state.h"

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

#endif
