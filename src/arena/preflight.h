/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: whether there is room. */
#ifndef CKPT_ARENA_PREFLIGHT_H
#define CKPT_ARENA_PREFLIGHT_H

#include "arena/state.h"

/* Limits and room, before anything large is made. */
enum ckpt_status arena_preflight(struct arena *arena, uint64_t missing_bytes,
                                 char reason[ARENA_REASON_BYTES]);

#endif
