/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of a person that change something. The daemon has authorised them. */
#include "coordinator/admin.h"

#include <assert.h>

#include "base/reason.h"
#include "coordinator/checkpoint.h"
#include "coordinator/checkpoint_table.h"
#include "coordinator/drain.h"
#include "coordinator/forget.h"
#include "coordinator/mark.h"
#include "coordinator/naming.h"
#include "coordinator/queue.h"
#include "coordinator/restore_state.h"
#include "coordinator/run.h"
#include "coordinator/update.h"

/* BLAKE3 is what copies of a run without a key are proven with: to verify those is to name them. */
static void verify(struct coordinator *c, struct checkpoint *k, const struct message_admin_ask *ask)
{
    assert(k->used);
    if (ask->blake3 && c->runs[k->run].digest_key.kind == DIGEST_KIND_FINGERPRINT) {
        coordinator_naming_begin(c, k, ask->from);
        return;
    }
    for (uint32_t i = k->first_shard; i != NONE; i = c->shards[i].next_in_checkpoint) {
        c->shards[i].verify_wanted = true;
        coordinator_queue_push(c, &c->shards[i]);
    }
}

/* Everything newer than step: `latest` moves back, by command and on record. */
static void retire_newer(struct coordinator *c, struct run *run, uint64_t step)
{
    assert(run->used);
    for (uint32_t i = run->first_checkpoint; i != NONE;) {
        struct checkpoint *k = &c->checkpoints[i];
        i = k->next_in_run;
        if (k->step <= step) {
            return;
        }
        if (c->update->record_count + 2 > COORDINATOR_RECORDS_MAX ||
            !coordinator_update_has_room(c, 1)) {
            c->update->admin_more = true;
            return;
        }
        if (coordinator_restore_uses(c, k)) {
            c->update->admin_status = CKPT_ERR_BUSY;
            reason_set(c->update->admin_reason, "a restore of step %llu is under way",
                       (unsigned long long)k->step);
            return;
        }
        coordinator_checkpoint_withdraw(c, k);
        if (checkpoint_is_open(k)) {
            coordinator_checkpoint_abort(c, k, CKPT_ERR_RETIRED, "retired by command");
        } else if (checkpoint_is_committed(k)) {
            coordinator_checkpoint_retire(c, k, "by command: newer than the step to go back to");
        }
    }
}

static void retire(struct coordinator *c, struct run *run, struct checkpoint *k, bool newer)
{
    assert(run->used);
    assert(k->used);
    if (coordinator_restore_uses(c, k)) {
        c->update->admin_status = CKPT_ERR_BUSY;
        reason_set(c->update->admin_reason, "a restore of step %llu is under way",
                   (unsigned long long)k->step);
    } else if (newer && k->state != CHECKPOINT_CONSISTENT) {
        c->update->admin_status = CKPT_ERR_INVALID;
        reason_set(c->update->admin_reason, "step %llu is not consistent: nothing to go back to",
                   (unsigned long long)k->step);
    } else if (newer) {
        retire_newer(c, run, k->step);
    } else if (k->state == CHECKPOINT_CONSISTENT && run->latest == k->step) {
        c->update->admin_status = CKPT_ERR_INVALID;
        reason_set(c->update->admin_reason,
                   "step %llu is the newest consistent checkpoint of the run and is kept; "
                   "to go back use --newer with an older step",
                   (unsigned long long)k->step);
    } else if (checkpoint_is_open(k)) {
        coordinator_checkpoint_withdraw(c, k);
        coordinator_checkpoint_abort(c, k, CKPT_ERR_RETIRED, "retired by command");
    } else {
        coordinator_checkpoint_withdraw(c, k);
        coordinator_checkpoint_retire(c, k, "by command");
    }
}

static void change_node(struct coordinator *c, const struct message_admin_ask *ask)
{
    if (!name_is_valid(ask->node, CKPT_NODE_NAME_MAX)) {
        c->update->admin_status = CKPT_ERR_NAME;
        reason_set(c->update->admin_reason, "that is no name of a node");
    } else if (ask->verb == ADMIN_NODE_DRAIN) {
        coordinator_node_drain(c, ask->node);
    } else if (ask->verb == ADMIN_NODE_UNDRAIN) {
        coordinator_node_undrain(c, ask->node);
    } else {
        coordinator_node_forget(c, ask->node, ask->force);
    }
}

/* An asker of before there were parts takes OK for all of it. */
static void say_more(struct coordinator *c, const struct message_admin_ask *ask)
{
    if (c->update->admin_more && !ask->may_page) {
        c->update->admin_more = false;
        c->update->admin_status = CKPT_ERR_BUSY;
        reason_set(c->update->admin_reason, "more than one command does: repeat it");
    }
}

static void change_checkpoint(struct coordinator *c, const struct message_admin_ask *ask)
{
    struct run *run = coordinator_run_find(c, &ask->run);
    struct checkpoint *k = NULL;
    if (run != NULL && ask->step != CKPT_STEP_LATEST) {
        k = coordinator_checkpoint_find_step(c, run, ask->step);
    } else if (run != NULL && run->has_latest) {
        k = coordinator_checkpoint_find_step(c, run, run->latest);
    }
    if (k == NULL) {
        c->update->admin_status = CKPT_ERR_NOT_FOUND;
        reason_set(c->update->admin_reason,
                   run == NULL ? "no such run" : "no such checkpoint of this run");
        return;
    }
    if (ask->verb == ADMIN_VERIFY) {
        verify(c, k, ask);
    } else if (ask->verb == ADMIN_RETIRE) {
        retire(c, run, k, ask->newer);
    } else if (ask->verb == ADMIN_MARK) {
        coordinator_mark_checkpoint(c, k, ask->mark);
    } else {
        c->update->admin_status = CKPT_ERR_INVALID;
        reason_set(c->update->admin_reason, "not a verb that changes anything");
    }
}

void coordinator_on_admin(struct coordinator *c, const struct message_admin_ask *ask)
{
    struct run *run;
    switch ((int)ask->verb) {
    case ADMIN_NODE_DRAIN:
    case ADMIN_NODE_UNDRAIN:
    case ADMIN_NODE_FORGET:
        change_node(c, ask);
        break;
    case ADMIN_RUN_FORGET:
        run = coordinator_run_find(c, &ask->run);
        if (run != NULL) {
            coordinator_run_forget(c, run);
        } else {
            c->update->admin_status = CKPT_ERR_NOT_FOUND;
            reason_set(c->update->admin_reason, "no such run");
        }
        break;
    default:
        change_checkpoint(c, ask);
    }
    say_more(c, ask);
}
