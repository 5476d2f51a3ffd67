/* SPDX-License-Identifier: Apache-2.0 */
/* What a rank says of state that it holds alike with others. */
#define XXH_INLINE_ALL
#include "client/replica.h"

#include <xxhash.h>

#include "client/context.h"
#include "base/reason.h"

uint64_t ckpt_replica_value(const struct ckpt_piece *pieces, size_t count, uint64_t seed)
{
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    (void)XXH3_64bits_reset_withSeed(&state, seed);
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].bytes > 0) {
            (void)XXH3_64bits_update(&state, pieces[i].data, pieces[i].bytes);
        }
    }
    return XXH3_64bits_digest(&state);
}

enum ckpt_status ckpt_save_replica(struct ckpt *ckpt, uint64_t step,
                                   const struct ckpt_replica *replica)
{
    enum ckpt_status status = client_enter(ckpt);
    if (status != CKPT_OK) {
        return status;
    }
    if (ckpt->reader) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "a reader holds no rank and cannot save");
    }
    if (replica == NULL || step == CKPT_STEP_LATEST) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID, "%s",
                             replica == NULL ? "replica is NULL: nothing is said"
                                             : "CKPT_STEP_LATEST is no step that is saved");
    }
    if (replica->leader > ckpt->rank) {
        return reason_refuse(ckpt->reason, CKPT_ERR_RANK,
                             "rank %u is said to be the lowest that holds what rank %u holds",
                             replica->leader, ckpt->rank);
    }
    ckpt->has_replica = true;
    ckpt->replica_step = step;
    ckpt->replica = *replica;
    return CKPT_OK;
}

void client_replica_ride(struct ckpt *ckpt, struct message_seal *seal)
{
    if (ckpt->has_replica && ckpt->replica_step == seal->step) {
        seal->replica_said = true;
        seal->replica_leader = ckpt->replica.leader;
        seal->replica_part = ckpt->replica.part;
        seal->replica_value = ckpt->replica.value;
    }
    ckpt->has_replica = false;
}
