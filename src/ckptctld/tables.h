/* SPDX-License-Identifier: Apache-2.0 */
/* How all stands, the nodes, the runs. */
#ifndef CKPT_CKPTCTLD_TABLES_H
#define CKPT_CKPTCTLD_TABLES_H

#include "ckptctld/table.h"

/* Each gives a new document, or NULL when memory is out. */
json_t *table_status(const struct daemon *daemon, const struct caller *caller);
json_t *table_nodes(const struct daemon *daemon, uint32_t from);
json_t *table_runs(const struct daemon *daemon, const struct caller *caller, uint32_t from);

#endif
