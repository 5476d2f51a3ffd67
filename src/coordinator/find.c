/* SPDX-License-Identifier: Apache-2.0 */
/* From the name of a shard to what is known of it. */
#include "coordinator/find.h"

#include "coordinator/checkpoint_table.h"
#include "coordinator/copy.h"
#include "coordinator/run.h"
#include "coordinator/shard.h"

struct found coordinator_find(struct coordinator *c, const struct shard_key *key, uint32_t member)
{
    struct found found = {.run = coordinator_run_find(c, &key->run)};
    if (found.run != NULL) {
        found.checkpoint = coordinator_checkpoint_find(c, found.run, key->attempt, key->step);
    }
    if (found.checkpoint != NULL) {
        found.shard = coordinator_shard_find(c, found.checkpoint, key->rank);
    }
    if (found.shard != NULL && member != NONE) {
        found.copy = coordinator_copy_find(found.shard, member);
    }
    return found;
}
