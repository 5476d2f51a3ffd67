/* SPDX-License-Identifier: Apache-2.0 */
/* One process, the right file, the right version, sound, and not shorter than it once was. */
#ifndef CKPT_STORE_SQLITE_OPEN_H
#define CKPT_STORE_SQLITE_OPEN_H

#include "store/sqlite_state.h"

enum ckpt_status sqlite_open_files(const char *directory, struct sqlite *sqlite);
void sqlite_close_files(struct sqlite *sqlite);

#endif
