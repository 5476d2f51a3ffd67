/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints as JSON: one with what it lacks and waits for, those of a run, and one with its
 * shards. Each document is new, or NULL when memory is out. */
#ifndef CKPT_CKPTCTLD_TABLES_CHECKPOINT_H
#define CKPT_CKPTCTLD_TABLES_CHECKPOINT_H

#include "ckptctld/table.h"

/* What people ask of a run: its newest consistent checkpoint and how whole that is, the newest save
 * that is not consistent yet and newer than that one, and the newest one of which every shard has a
 * copy now. */
#define NO_CHECKPOINT UINT32_MAX
struct run_steps {
    uint32_t newest;
    uint32_t saving;
    uint32_t restorable;
    enum coordinator_degree degree; /* of the newest; DEGREE_NONE: there is none */
};
struct run_steps table_run_steps(const struct daemon *daemon, uint32_t run_index);

/* An entry of table_checkpoints, a step, and how long ago it was committed; null for none. */
json_t *table_checkpoint(const struct daemon *daemon, uint32_t index);
json_t *table_step(const struct daemon *daemon, uint32_t index);
json_t *table_age(const struct daemon *daemon, uint32_t index);

/* Of the run of that key. */
json_t *table_checkpoints(const struct daemon *daemon, const struct run_key *run, uint32_t from);

/* Finds the checkpoint of a run to show: the step's, of the newest attempt; or, for
 * CKPT_STEP_LATEST, the newest consistent one. */
bool table_find_checkpoint(const struct daemon *daemon, const struct run_key *run, uint64_t step,
                           uint32_t *index_out);

/* The checkpoint of that index with its shards and their copies, from a rank on. */
json_t *table_shards(const struct daemon *daemon, uint32_t index, uint32_t from);

/* What holders of the checkpoint of that index told of their copies' BLAKE3, from one of them on;
 * NULL also where nobody asked them, or this coordinator was started since. */
json_t *table_names(const struct daemon *daemon, uint32_t index, uint32_t from);

/* "consistent" and so on; strings that live for ever. */
const char *table_checkpoint_state(enum checkpoint_state state);

#endif
