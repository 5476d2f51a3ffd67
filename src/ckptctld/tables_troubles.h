/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTCTLD_TABLES_TROUBLES_H
#define CKPT_CKPTCTLD_TABLES_TROUBLES_H

#include "ckptctld/table.h"

/* What keeps saves from becoming consistent; an array. */
json_t *table_troubles(const struct daemon *daemon, const struct caller *caller);

#endif
