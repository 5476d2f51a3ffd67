/* SPDX-License-Identifier: Apache-2.0 */
/* Which checkpoints a tier has. */
#include <string.h>

#include "base/reason.h"
#include "tier/name.h"
#include "tier/pace.h"
#include "tier/walk.h"

struct seek {
    bool is_found;
};

static bool seek_manifest(void *context, const char *name, enum tier_thing thing, uint64_t bytes)
{
    struct seek *seek = context;
    (void)bytes;
    seek->is_found = thing == TIER_FILE && strcmp(name, TIER_MANIFEST) == 0;
    return !seek->is_found;
}

/* Of one run; false in *goes_on: visit wants no more. */
static enum ckpt_status list_run(struct tier *tier, const struct run_key *run, tier_visit *visit,
                                 void *context, bool *goes_on, char *reason_out)
{
    struct walk walk;
    struct tier_name folder;
    struct tier_name checkpoint;
    if (!tier_name_run(run, &folder)) {
        return reason_refuse(reason_out, CKPT_ERR_NAME, "no folder can have this run's name");
    }
    enum ckpt_status status = walk_begin(tier, folder.text, &walk, reason_out);
    for (size_t i = 0; i < walk.count && status == CKPT_OK && *goes_on; i++) {
        struct seek seek = {0};
        struct tier_entry entry = {.key.run = *run};
        if (walk.things[i].thing != TIER_FOLDER ||
            !tier_name_read_checkpoint(walk.things[i].name, &entry.key)) {
            continue;
        }
        checkpoint = tier_name_in(&folder, walk.things[i].name);
        status = pace_ask(tier, reason_out);
        if (status == CKPT_OK) {
            status = tier->medium->backend->list(tier->medium, checkpoint.text, seek_manifest,
                                                 &seek, reason_out);
        }
        if (status == CKPT_ERR_NOT_FOUND) { /* removed meanwhile */
            status = CKPT_OK;
            continue;
        }
        entry.is_whole = seek.is_found;
        *goes_on = status == CKPT_OK && visit(context, &entry);
    }
    walk_end(&walk);
    return status == CKPT_ERR_NOT_FOUND ? CKPT_OK : status;
}

enum ckpt_status tier_list(struct tier *tier, const struct run_key *run, tier_visit *visit,
                           void *context, char *reason_out)
{
    struct walk walk;
    bool goes_on = true;
    if (run != NULL) {
        return list_run(tier, run, visit, context, &goes_on, reason_out);
    }
    enum ckpt_status status = walk_begin(tier, "", &walk, reason_out);
    for (size_t i = 0; i < walk.count && status == CKPT_OK && goes_on; i++) {
        struct run_key of;
        if (walk.things[i].thing == TIER_FOLDER && tier_name_read_run(walk.things[i].name, &of)) {
            status = list_run(tier, &of, visit, context, &goes_on, reason_out);
        }
    }
    walk_end(&walk);
    return status;
}
