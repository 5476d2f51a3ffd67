/* SPDX-License-Identifier: Apache-2.0 */
/* Shards that a group has given to its caller: lent by the agent, or in memory of their own. */
#ifndef CKPT_FANOUT_HELD_H
#define CKPT_FANOUT_HELD_H

#include "fanout/state.h"
#include "shard/shard.h"

struct held {
    struct held *next;
    struct fanout_source source; /* who lent it */
    struct ckpt_shard lent;      /* bytes 0: nobody */
    uint8_t *memory;             /* that the group brought it to; NULL: none */
    uint64_t memory_bytes;
    struct shard_index *index;
};

/* Memory of its own for a shard; NULL: there is none. */
struct held *held_make(uint64_t bytes);

/* Gives back what it has, and frees it. Takes NULL. */
void held_drop(struct held *held);

/* Reads the header of its bytes. CKPT_ERR_CORRUPT: it is no safetensors file. */
enum ckpt_status held_index(struct held *held, char *reason);

#endif
