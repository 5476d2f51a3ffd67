/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a save and the tier. It is noted whichever call receives it: who only looks is in
 * none when it comes. */
#include "client/tier_word.h"

#include "base/reason.h"

static void end_passed(struct save *save, const struct message_checkpoint_info *info)
{
    unsigned long long step = save->step;
    save->tier_status = CKPT_ERR_STEP;
    if (info->has_persisted) {
        reason_set(save->reason,
                   "step %llu was passed over and will never be in the tier ([tier] every and "
                   "max_age of ckptctld, or a tier slower than saves); step %llu is there",
                   step, (unsigned long long)info->persisted_step);
    } else {
        reason_set(save->reason,
                   "step %llu will never be in the tier: it left memory before, or [tier] every "
                   "and max_age of ckptctld are 0; nothing of the run is there",
                   step);
    }
}

static void end_absent(struct save *save)
{
    save->tier_status = CKPT_ERR_UNSUPPORTED;
    reason_set(save->reason,
               "step %llu goes to no tier: the coordinator knows of no agent that has one; set "
               "[tier] path of ckptd",
               (unsigned long long)save->step);
}

static void end_forgotten(struct save *save, const struct message_checkpoint_info *info)
{
    save->tier_status = CKPT_ERR_RETIRED;
    reason_set(save->reason,
               "step %llu is no longer in memory, and step %llu is the newest in the tier: whether "
               "this one went there before, `ckptctl tier list` tells",
               (unsigned long long)save->step, (unsigned long long)info->persisted_step);
}

/* It is lost, or given up, on its way. */
static void end_lost(struct save *save, const struct message_checkpoint_info *info)
{
    save->tier_status = info->state == CHECKPOINT_QUARANTINED ? CKPT_ERR_QUARANTINED
                        : info->state == CHECKPOINT_RETIRED   ? CKPT_ERR_RETIRED
                                                              : CKPT_ERR_ABORTED;
    reason_set(save->reason, "step %llu was not in the tier before it ended: %s",
               (unsigned long long)save->step,
               info->reason[0] != '\0' ? info->reason : ckpt_status_text(save->tier_status));
}

static bool is_lost(const struct message_checkpoint_info *info)
{
    return info->state == CHECKPOINT_QUARANTINED || info->state == CHECKPOINT_ABORTED ||
           info->state == CHECKPOINT_RETIRED;
}

static void take(struct save *save, const struct message_checkpoint_info *info)
{
    save->tier_is_told = true;
    switch (info->tier) {
    case CHECKPOINT_TIER_WHOLE:
        save->tier_status = CKPT_OK;
        return;
    case CHECKPOINT_TIER_ABSENT:
        end_absent(save);
        return;
    case CHECKPOINT_TIER_PASSED:
        end_passed(save, info);
        return;
    case CHECKPOINT_TIER_FORGOTTEN:
        end_forgotten(save, info);
        return;
    case CHECKPOINT_TIER_UNKNOWN:
    case CHECKPOINT_TIER_AWAITED:
        break;
    }
    if (is_lost(info)) {
        end_lost(save, info);
    } else if (info->tier == CHECKPOINT_TIER_UNKNOWN && info->status == CKPT_OK) {
        save->tier_status = CKPT_ERR_UNSUPPORTED;
        reason_set(save->reason,
                   "whether step %llu is in the tier is not told: the agent or the coordinator is "
                   "of before ckpt_wait_persisted",
                   (unsigned long long)save->step);
    } else {
        save->tier_is_told = false;
    }
}

void client_tier_hear(struct ckpt *ckpt, const struct message_checkpoint_info *info)
{
    uint32_t own = ckpt->attempt != 0 ? ckpt->attempt : ckpt->insisted;
    for (uint32_t i = 0; i < CLIENT_SAVES_KEPT; i++) {
        struct save *save = &ckpt->saves[i];
        if (!save->used || save->tier_question == 0 || save->tier_question != info->reader) {
            continue;
        }
        save->tier_question = 0;
        bool is_of_another =
            info->step != save->step || (info->attempt != 0 && own != 0 && info->attempt != own);
        if (!is_of_another) {
            take(save, info);
        }
        return;
    }
}
