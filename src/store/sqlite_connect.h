/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to the database. */
#ifndef CKPT_STORE_SQLITE_CONNECT_H
#define CKPT_STORE_SQLITE_CONNECT_H

#include "store/sqlite_state.h"

/* Opens the connection to sqlite->path, made where it is missing, and closes it. */
enum ckpt_status sqlite_connect(struct sqlite *sqlite);
void sqlite_disconnect(struct sqlite *sqlite);

/* New names in a directory are durable only with it. */
enum ckpt_status sqlite_sync_directory(const char *directory, char *reason_out);

#endif
