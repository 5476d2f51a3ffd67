/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the file of slot records, mapped. */
#ifndef CKPT_ARENA_INDEX_H
#define CKPT_ARENA_INDEX_H

#include "arena/state.h"

/* Sets index*, generation_floor, epoch; checks the geometry. A new index becomes one by
 * arena_index_publish(), once the segments are there: until then it is made anew at every open. */
enum ckpt_status arena_index_open(struct arena *arena, char reason[ARENA_REASON_BYTES]);
void arena_index_publish(struct arena *arena);
void arena_index_close(struct arena *arena);

#endif
