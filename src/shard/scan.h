/* SPDX-License-Identifier: Apache-2.0 */
/* A first look at untrusted JSON, so that what the JSON library is given is small in depth and in
 * values: a header of 100 MB could otherwise make it recurse deeply or allocate gigabytes. Pure. */
#ifndef CKPT_SHARD_SCAN_H
#define CKPT_SHARD_SCAN_H

#include <stdint.h>

#include <ckpt/status.h>

#include "shard/shard.h"

/* A header nests three deep; fields that the format does not know yet may go deeper. */
#define SCAN_DEPTH_MAX 16

/* Commas and opening brackets, which bound the number of values. A tensor has three brackets and,
 * with the one before it, 4 + dimensions commas; twice as many leave room for fields that the
 * format does not know yet. */
#define SCAN_MARKS_MAX                                                                             \
    (2 * (UINT64_C(7) + CKPT_DIMENSIONS_MAX) * CKPT_TENSORS_MAX + SHARD_METADATA_MAX)

/* Whether the text may go to the JSON library: starts with '{', its brackets close in order of
 * count within the limits, and nothing but spaces follows. Says nothing of what is between.
 *
 * RETURN VALUE
 * CKPT_OK, else *problem_out is text and *at_out the byte of the text it is about.
 *
 * ERRORS
 * - CKPT_ERR_CORRUPT - no '{', never closed, or followed by something
 * - CKPT_ERR_TOO_LARGE - deeper than SCAN_DEPTH_MAX, or more than SCAN_MARKS_MAX marks */
enum ckpt_status scan_json(const char *text, uint64_t bytes, const char **problem_out,
                           uint64_t *at_out);

#endif
