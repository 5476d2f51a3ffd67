/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the file of chunk values, mapped. */
#ifndef CKPT_ARENA_VALUES_H
#define CKPT_ARENA_VALUES_H

#include "arena/state.h"

/* After the index: what is there is kept when it is of this arena's geometry, and made anew
 * otherwise. Where it cannot be had the arena is without: see arena_keeps_values(). */
void arena_values_open(struct arena *arena);
void arena_values_close(struct arena *arena);

#endif
