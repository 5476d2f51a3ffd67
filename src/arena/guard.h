/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: a bad page is found, not fatal. */
#ifndef CKPT_ARENA_GUARD_H
#define CKPT_ARENA_GUARD_H

#include "arena/state.h"

enum ckpt_status arena_guard_add(struct arena *arena, uint8_t *address, uint32_t count,
                                 const uint16_t *segments);
void arena_guard_remove(const uint8_t *address);

#endif
