/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's tables as JSON documents, for ckptctl. docs/ckptctl.md names every field.
 *
 * A document is a page: it holds entries from `from` on, and "next" is the first that it does not
 * hold, or null. A page is small enough for one frame and for one turn of the loop. */
#ifndef CKPT_CKPTCTLD_TABLES_H
#define CKPT_CKPTCTLD_TABLES_H

#include <jansson.h>

#include "ckptctld/daemon.h"
#include "wire/message_codec.h"

/* Entries a page: of those below 4 KiB of JSON, as a shard with COORDINATOR_COPIES_MAX copies; and
 * of those below 16 KiB, as a checkpoint that names what it lacks, or a run with two of them. */
#define PAGE_ENTRIES 1000
#define HEAVY_ENTRIES 250
_Static_assert(PAGE_ENTRIES * 4096 < MESSAGE_JSON_MAX && HEAVY_ENTRIES * 16384 < MESSAGE_JSON_MAX,
               "a page fits one frame");

/* Who asks: whose runs may be seen. */
struct caller {
    uint32_t uid;
    bool privileged; /* everybody's */
};

/* Numbers of 64 bits: JSON's are signed here. What is above is a defect to be seen, not a negative
 * size. */
static inline json_t *number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static inline json_t *next_page(uint32_t next, uint32_t end)
{
    return next < end ? number(next) : json_null();
}

/* It has just started: agents are still telling what they hold. */
int table_is_settling(const struct daemon *daemon);

/* RFC 3339, in UTC; null for 0. */
json_t *table_time(uint64_t wall_ms);

/* Each gives a new document, or NULL when memory is out. */
json_t *table_status(const struct daemon *daemon, const struct caller *caller);
json_t *table_nodes(const struct daemon *daemon, uint32_t from);
json_t *table_runs(const struct daemon *daemon, const struct caller *caller, uint32_t from);

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

/* What keeps saves from becoming consistent; an array. */
json_t *table_troubles(const struct daemon *daemon, const struct caller *caller);

/* Of the run of that key. */
json_t *table_checkpoints(const struct daemon *daemon, const struct run_key *run, uint32_t from);

/* Finds the checkpoint of a run to show: the step's, of the newest attempt; or, for
 * CKPT_STEP_LATEST, the newest consistent one. */
bool table_find_checkpoint(const struct daemon *daemon, const struct run_key *run, uint64_t step,
                           uint32_t *index_out);

/* The checkpoint of that index with its shards and their copies, from a rank on. */
json_t *table_shards(const struct daemon *daemon, uint32_t index, uint32_t from);

/* What an update that was asked for has changed of a run, or of nodes, now that it is on record. */
json_t *table_change(const struct coordinator_update *update, const struct run_key *run);

/* How far a node is drained; NULL also where no such node is known. */
json_t *table_drain(const struct daemon *daemon, const char *node);

/* "consistent" and so on; strings that live for ever. */
const char *table_checkpoint_state(enum checkpoint_state state);

#endif
