/* SPDX-License-Identifier: Apache-2.0 */
/* What a change did, from the records and messages of its update; and how far a drain is. */
#ifndef CKPT_CKPTCTLD_TABLE_CHANGE_H
#define CKPT_CKPTCTLD_TABLE_CHANGE_H

#include "ckptctld/table.h"

/* What an update that was asked for has changed of a run, or of nodes, now that it is on record. */
json_t *table_change(const struct coordinator_update *update, const struct run_key *run);

/* How far a node is drained; NULL also where no such node is known. */
json_t *table_drain(const struct daemon *daemon, const char *node);

#endif
