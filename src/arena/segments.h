/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the memory of an arena. */
#ifndef CKPT_ARENA_SEGMENTS_H
#define CKPT_ARENA_SEGMENTS_H

#include "arena/state.h"

/* Reserves the addresses; opens, maps and faults in all segments, in threads. */
enum ckpt_status arena_segments_open(struct arena *arena, const struct arena_options *options,
                                     char reason[ARENA_REASON_BYTES]);
void arena_segments_close(struct arena *arena);

#endif
