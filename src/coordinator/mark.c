/* SPDX-License-Identifier: Apache-2.0 */
/* A person's word on a checkpoint; and the way back out of quarantine.
 *
 *   CONSISTENT --every copy proven different, or marked poisoned--> QUARANTINED
 *        ^--copies with the committed digest turned up, nobody's word against it,--'
 *           and the run has not gone on without it
 *
 * What the machine quarantined the machine may offer again; what a person marked poisoned only a
 * person clears. Once ranks have gone back to an older step, or a later attempt has saved, it is
 * never the newest again: `latest` would jump above what the run saves next, and refuse it. It
 * stays readable by its number. */
#include "coordinator/mark.h"

#include <assert.h>

#include "base/reason.h"
#include "coordinator/checkpoint.h"
#include "coordinator/note.h"
#include "coordinator/restore_state.h"
#include "coordinator/update.h"

static struct coordinator_record *record_of(struct coordinator *c, const struct checkpoint *k,
                                            enum coordinator_record_type type)
{
    assert(k->used);
    struct coordinator_record *record = coordinator_update_record(c, type);
    record->run = c->runs[k->run].key;
    record->attempt = k->attempt;
    record->step = k->step;
    return record;
}

static bool is_whole(const struct coordinator *c, const struct checkpoint *k)
{
    assert(k->used);
    for (uint32_t i = k->first_shard; i != NONE; i = c->shards[i].next_in_checkpoint) {
        bool good = false;
        for (uint32_t j = 0; j < COORDINATOR_COPIES_MAX && !good; j++) {
            good = copy_is_good(&c->shards[i], &c->shards[i].copies[j]);
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

void coordinator_offer_again_if_whole(struct coordinator *c, struct checkpoint *k)
{
    assert(k->used);
    struct run *run = &c->runs[k->run];
    if (k->state != CHECKPOINT_QUARANTINED || k->mark == MARK_POISONED || k->passed_over ||
        (run->has_latest && run->latest > k->step) || !is_whole(c, k) ||
        c->update->record_count + 1 > COORDINATOR_RECORDS_MAX ||
        !coordinator_update_has_room(c, 1)) {
        return; /* the next report of a copy comes here again */
    }
    (void)record_of(c, k, RECORD_OFFERED);
    coordinator_checkpoint_move(c, k, CHECKPOINT_CONSISTENT);
    k->reason[0] = '\0';
    coordinator_run_refresh_latest(c, run);
    coordinator_note(c, EVENT_checkpoint_offered, about_checkpoint(c, k),
                     "every shard has a copy with the committed digest: it is offered again");
}

void coordinator_mark_checkpoint(struct coordinator *c, struct checkpoint *k,
                                 enum checkpoint_mark mark)
{
    assert(k->used);
    if (!checkpoint_is_committed(k)) {
        c->update->admin_status = CKPT_ERR_INVALID;
        reason_set(c->update->admin_reason,
                   "step %llu is not consistent yet: only what is can be marked",
                   (unsigned long long)k->step);
        return;
    }
    if (mark == MARK_POISONED && coordinator_restore_uses(c, k)) {
        c->update->admin_status = CKPT_ERR_BUSY;
        reason_set(c->update->admin_reason, "a restore of step %llu is under way",
                   (unsigned long long)k->step);
        return;
    }
    if (k->mark != mark) {
        record_of(c, k, RECORD_MARK)->bytes = mark;
        k->mark = (uint8_t)mark;
        coordinator_note(c, EVENT_checkpoint_marked, about_checkpoint(c, k), "by command: %s",
                         mark == MARK_POISONED  ? "poisoned, never offered as the newest"
                         : mark == MARK_HEALTHY ? "healthy"
                                                : "cleared");
    }
    if (mark == MARK_POISONED && k->state == CHECKPOINT_CONSISTENT) {
        coordinator_checkpoint_quarantine(c, k, "marked poisoned by command");
        return;
    }
    coordinator_offer_again_if_whole(c, k);
    if (k->state == CHECKPOINT_QUARANTINED && mark != MARK_POISONED) {
        reason_set(c->update->admin_reason, "step %llu %s", (unsigned long long)k->step,
                   k->passed_over ? "stays readable by its number: the run has gone on without it"
                                  : "is offered again when every shard has a good copy");
    }
}
