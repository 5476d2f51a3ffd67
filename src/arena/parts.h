/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: segments that are cut. */
#ifndef CKPT_ARENA_PARTS_H
#define CKPT_ARENA_PARTS_H

#include "arena/state.h"

/* Opens the parts that records claim, marks those that have to be made, and removes the files of
 * all others. */
enum ckpt_status arena_parts_open(struct arena *arena, uint64_t *missing_bytes_out,
                                  char reason[ARENA_REASON_BYTES]);
/* Pins or makes a cut segment's parts, and what is left of it. */
enum ckpt_status arena_parts_pin(struct arena *arena, uint32_t segment,
                                 char reason[ARENA_REASON_BYTES]);
uint64_t arena_parts_bytes(const struct arena *arena, uint32_t segment); /* of all its parts */

#endif
