/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint leaves the tier: its manifest first. */
#include <string.h>

#include "base/fault_point.h"
#include "tier/name.h"
#include "base/reason.h"
#include "tier/walk.h"

static bool is_ours(const struct walk_thing *thing)
{
    uint32_t rank;
    bool is_sidecar;
    enum tier_encoding encoding;
    return thing->thing == TIER_FILE &&
           (strcmp(thing->name, TIER_SUMS) == 0 ||
            tier_name_read_rank(thing->name, &rank, &is_sidecar, &encoding));
}

enum ckpt_status tier_remove_checkpoint(struct tier *tier, const struct tier_checkpoint_key *key,
                                        char *reason_out)
{
    const struct tier_backend *backend = tier->medium->backend;
    struct walk walk;
    struct tier_name folder;
    if (!tier_name_checkpoint(key, &folder)) {
        return reason_refuse(reason_out, CKPT_ERR_NAME, "no file can have this run or step");
    }
    enum ckpt_status status =
        backend->remove(tier->medium, tier_name_in(&folder, TIER_MANIFEST).text, true, reason_out);
    FAULT_POINT(tier_mid_remove);
    if (status != CKPT_OK) {
        return status;
    }
    status = walk_begin(tier, folder.text, &walk, reason_out);
    for (size_t i = 0; i < walk.count && status == CKPT_OK; i++) {
        if (is_ours(&walk.things[i])) { /* what is not is left, and the folder with it */
            status = backend->remove(tier->medium, tier_name_in(&folder, walk.things[i].name).text,
                                     false, reason_out);
        }
    }
    walk_end(&walk);
    if (status == CKPT_OK) {
        status = backend->remove_folder(tier->medium, folder.text, reason_out);
    }
    return status == CKPT_ERR_NOT_FOUND ? CKPT_OK : status;
}
