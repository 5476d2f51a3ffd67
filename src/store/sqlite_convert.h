/* SPDX-License-Identifier: Apache-2.0 */
/* Databases of version 1. */
#ifndef CKPT_STORE_SQLITE_CONVERT_H
#define CKPT_STORE_SQLITE_CONVERT_H

#include "store/sqlite_state.h"

/* Replaces the open database of version 1, whose mark is given, by one of this version, and leaves
 * the connection closed. Whole or not at all: it is made beside and renamed. */
enum ckpt_status sqlite_convert(struct sqlite *sqlite, const char *directory, uint64_t mark);

#endif
