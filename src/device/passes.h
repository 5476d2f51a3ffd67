/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a shard that lies in a device's memory is gone over: in passes of whole chunks, each through
 * one window of the device's memory. Pure.
 *
 * A pass has the chunks that hold bytes of the device, up to the window's size; what lies between
 * them is the host's alone and in none. In a pass the window has every byte of the shard: those of
 * the device are gathered, those of the host are copied in (gaps). Tensors below
 * PASSES_STRAIGHT_BYTES then leave by the window, neighbours together (runs); larger ones go
 * straight from where they are.
 */
#ifndef CKPT_DEVICE_PASSES_H
#define CKPT_DEVICE_PASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

#define PASSES_STRAIGHT_BYTES (64 * CKPT_KIB)

/* A tensor of the shard that lies in the device's memory. */
struct device_part {
    uint64_t place; /* in the shard */
    uint64_t bytes; /* not 0 */
    uint64_t address;
    uint32_t dtype; /* enum ckpt_dtype */
};

/* Into the order of their places; false: two have one. */
bool device_parts_sort(struct device_part *parts, size_t count);

struct passes {
    const struct device_part *parts; /* by place; none overlap */
    size_t count;
    uint64_t shard_bytes;
    uint64_t window_bytes; /* whole chunks */
    uint64_t at;           /* what is before has been gone over */
    size_t part;           /* the first that is not all before `at` */
};

struct pass {
    uint64_t begin; /* of a chunk */
    uint64_t end;   /* of a chunk, or of the shard */
    size_t part;    /* the first that has bytes in it */
};

/* A range of the shard, and where to look on from: zeroed for the first of a pass. */
struct pass_range {
    uint64_t begin;
    uint64_t end;
    size_t part;
};

/* The next pass; false: there is no more. */
bool passes_next(struct passes *passes, struct pass *pass_out);

/* The next range of the pass that no part has; false: there is none. */
bool passes_gap(const struct passes *passes, const struct pass *pass, struct pass_range *gap);

/* The next range of the pass that small parts fill without a break. */
bool passes_run(const struct passes *passes, const struct pass *pass, struct pass_range *run);

static inline bool device_part_is_small(const struct device_part *part)
{
    return part->bytes < PASSES_STRAIGHT_BYTES;
}

#endif
