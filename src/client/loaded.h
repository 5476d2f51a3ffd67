/* SPDX-License-Identifier: Apache-2.0 */
/* What a struct ckpt_shard points to: one shard that is mapped. */
#ifndef CKPT_CLIENT_LOADED_H
#define CKPT_CLIENT_LOADED_H

#include <stdint.h>

#include "arena/view.h"
#include "shard/shard.h"

struct loaded {
    struct loaded *next;
    struct arena_view view;
    struct shard_index *index;
    uint32_t slot;
    uint64_t generation;
    uint32_t link; /* the connection that it was lent over */
};

#endif
