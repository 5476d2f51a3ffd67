/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and statements. */
#ifndef CKPT_STORE_SQLITE_SCHEMA_H
#define CKPT_STORE_SQLITE_SCHEMA_H

#include "store/sqlite_state.h"

/* The schema version of the open database; 0 for one without tables. CKPT_ERR_CORRUPT when it is
 * none of ours, CKPT_ERR_VERSION for a later one. */
enum ckpt_status sqlite_schema_version(struct sqlite *sqlite, long *version_out);

enum ckpt_status sqlite_schema_make(struct sqlite *sqlite);

/* Makes the open database of version 2 or 3 one of this version, in its place. */
enum ckpt_status sqlite_schema_extend(struct sqlite *sqlite, long version);
enum ckpt_status sqlite_prepare(struct sqlite *sqlite);

/* SQLite's own check of its structure. */
enum ckpt_status sqlite_check(struct sqlite *sqlite);

#endif
