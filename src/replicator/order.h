/* SPDX-License-Identifier: Apache-2.0 */
/* What a JAX job asks of a replicator: the file replicator.yaml that Orbax's multi-tier
 * checkpointing writes into its local folder (orbax-checkpoint 0.12.8, experimental/emergency/
 * multi_tier_checkpointing/initialization.py). */
#ifndef CKPT_REPLICATOR_ORDER_H
#define CKPT_REPLICATOR_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include <ckpt/status.h>

#include "base/limits.h"

#define ORDER_FILE "replicator.yaml"
#define ORDER_BYTES_MAX 65536

struct order {
    char job[CKPT_RUN_NAME_MAX + 1]; /* the run */
    uint32_t node;                   /* the rank */
    uint32_t nodes;                  /* the world */
    uint32_t peers;                  /* how many nodes the job names to hold copies */
};

/* Reads an order. All of job-name, framework (orbax), node-rank, nodes, peer-ranks, and exactly one
 * of backup-interval-minutes and -steps have to be there, as Orbax writes them; other keys are
 * passed over.
 *
 * RETURN VALUE
 * CKPT_OK; else reason (CKPT_REASON_MAX + 1 bytes) has a line and *order_out is as it was.
 *
 * ERRORS
 * - CKPT_ERR_CONFIG - no YAML, a key that is missing, twice, or of another kind; a rank that is
 *   none of the nodes; another framework
 * - CKPT_ERR_NAME - job-name is no name of a run
 * - CKPT_ERR_MEMORY */
enum ckpt_status order_parse(const char *text, size_t bytes, struct order *order_out, char *reason);

#endif
