/* SPDX-License-Identifier: Apache-2.0 */
/* The names of a tier's files, which are made of numbers and of a run's checked name, and read back
 * without trust: a name is ours only if it is byte for byte the one that we would make. Pure. */
#ifndef CKPT_TIER_NAME_H
#define CKPT_TIER_NAME_H

#include "tier/tier.h"

#define TIER_NAME_SIZE 256

struct tier_name {
    char text[TIER_NAME_SIZE];
};

#define TIER_MANIFEST "manifest.json"
#define TIER_SUMS "B3SUMS"
#define TIER_INCOMING ".incoming" /* where files are until they have a name */

/* "1000-team~llama". False: the run's name is no valid one. */
bool tier_name_run(const struct run_key *run, struct tier_name *name_out);
bool tier_name_read_run(const char *text, struct run_key *run_out);

/* "1000-llama/step-...-attempt-...". False: the run's name, or the step is none. */
bool tier_name_checkpoint(const struct tier_checkpoint_key *key, struct tier_name *name_out);
/* The last component of it; the run is not looked at. */
bool tier_name_read_checkpoint(const char *text, struct tier_checkpoint_key *key_out);

/* The file of a shard, "rank-00000.safetensors", and its sidecar, without their folder. */
struct tier_name tier_name_shard(uint32_t rank, enum tier_encoding encoding);
struct tier_name tier_name_sidecar(uint32_t rank);
/* Either of the two. */
bool tier_name_read_rank(const char *text, uint32_t *rank_out, bool *is_sidecar_out,
                         enum tier_encoding *encoding_out);

/* folder/file; both are of this room and fit. */
struct tier_name tier_name_in(const struct tier_name *folder, const char *file);

/* A name that a list gave, fit for a line: what is not printable ASCII is '?'. */
struct tier_name tier_name_shown(const char *text);

#endif
