/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_STORE_SQLITE_H
#define CKPT_STORE_SQLITE_H

#include "store/medium.h"

/* Durable: one SQLite database with a write-ahead log, synced at each commit. */
extern const struct medium_kind medium_sqlite;

#endif
