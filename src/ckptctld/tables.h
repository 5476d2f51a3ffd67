/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's tables as JSON documents, for ckptctl. docs/ckptctl.md names every field.
 *
 * A document is a page: it holds entries from `from` on, and "next" is the first that it does not
 * hold, or null. A page is small enough for one frame and for one turn of the loop. */
#ifndef CKPT_CKPTCTLD_TABLES_H
#define CKPT_CKPTCTLD_TABLES_H

#include <jansson.h>

#include "daemon.h"

/* Who asks: whose runs may be seen. */
struct caller {
    uint32_t uid;
    bool privileged; /* everybody's */
};

/* Each gives a new document, or NULL when memory is out. */
json_t *table_status(const struct daemon *daemon);
json_t *table_nodes(const struct daemon *daemon, uint32_t from);
json_t *table_runs(const struct daemon *daemon, const struct caller *caller, uint32_t from);

/* Of the run of that key. */
json_t *table_checkpoints(const struct daemon *daemon, const struct run_key *run, uint32_t from);

/* Finds the checkpoint of a run to show: the step's, of the newest attempt; or, for
 * CKPT_STEP_LATEST, the newest consistent one. */
bool table_find_checkpoint(const struct daemon *daemon, const struct run_key *run, uint64_t step,
                           uint32_t *index_out);

/* The checkpoint of that index with its shards and their copies, from a rank on. */
json_t *table_shards(const struct daemon *daemon, uint32_t index, uint32_t from);

/* "consistent" and so on; strings that live for ever. */
const char *table_checkpoint_state(enum checkpoint_state state);

#endif
