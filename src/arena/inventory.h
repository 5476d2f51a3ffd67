/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: what whole records claim. */
#ifndef CKPT_ARENA_INVENTORY_H
#define CKPT_ARENA_INVENTORY_H

#include "arena/state.h"

#define NOBODY UINT32_MAX
struct claims {
    /* For each id the first two slots whose records claim it. */
    uint32_t first[CKPT_ARENA_IDS_MAX];
    uint32_t second[CKPT_ARENA_IDS_MAX];
    /* For each slot whose record claims memory under another id that is also the slot's, and which
     * slot that is; NOBODY: none is. */
    uint32_t contested_by[CKPT_ARENA_SEGMENTS_MAX];
};
void arena_claims_collect(struct arena *arena, struct claims *claims_out);
/* Whether the record's memory is its own alone. */
bool arena_claims_are_alone(const struct claims *claims, const struct slot_record *record);

#endif
