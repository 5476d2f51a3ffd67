/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of a person that change something. The daemon has authorised them. */
#include "coordinator/admin.h"

#include "coordinator/checkpoint.h"
#include "coordinator/checkpoint_table.h"
#include "coordinator/drain.h"
#include "coordinator/forget.h"
#include "coordinator/mark.h"
#include "coordinator/queue.h"
#include "coordinator/restore_state.h"
#include "coordinator/run.h"
#include "coordinator/update.h"

static void verify(struct coordinator *c, struct checkpoint *k)
{
    for (uint32_t i = k->first_shard; i != NONE; i = c->shards[i].next_in_checkpoint) {
        c->shards[i].verify_wanted = true;
        queue_push(c, &c->shards[i]);
    }
}

/* Everything newer than step: `latest` moves back, by command and on record. */
static void retire_newer(struct coordinator *c, struct coordinator_update *u, struct run *run,
                         uint64_t step)
{
    for (uint32_t i = run->first_checkpoint; i != NONE;) {
        struct checkpoint *k = &c->checkpoints[i];
        i = k->next_in_run;
        if (k->step <= step) {
            return;
        }
        if (u->record_count + 2 > COORDINATOR_RECORDS_MAX || !update_has_room(u, 1)) {
            u->admin_more = true;
            return;
        }
        if (session_uses(c, k)) {
            u->admin_status = CKPT_ERR_BUSY;
            say(u->admin_reason, "a restore of step %llu is under way",
                (unsigned long long)k->step);
            return;
        }
        checkpoint_withdraw(c, u, k);
        if (checkpoint_is_open(k)) {
            checkpoint_abort(c, u, k, CKPT_ERR_RETIRED, "retired by command");
        } else if (checkpoint_is_committed(k)) {
            checkpoint_retire(c, u, k, "by command: newer than the step to go back to");
        }
    }
}

static void retire(struct coordinator *c, struct coordinator_update *u, struct run *run,
                   struct checkpoint *k, bool newer)
{
    if (session_uses(c, k)) {
        u->admin_status = CKPT_ERR_BUSY;
        say(u->admin_reason, "a restore of step %llu is under way", (unsigned long long)k->step);
    } else if (newer && k->state != CHECKPOINT_CONSISTENT) {
        u->admin_status = CKPT_ERR_INVALID;
        say(u->admin_reason, "step %llu is not consistent: nothing to go back to",
            (unsigned long long)k->step);
    } else if (newer) {
        retire_newer(c, u, run, k->step);
    } else if (k->state == CHECKPOINT_CONSISTENT && run->latest == k->step) {
        u->admin_status = CKPT_ERR_INVALID;
        say(u->admin_reason,
            "step %llu is the newest consistent checkpoint of the run and is kept; "
            "to go back use --newer with an older step",
            (unsigned long long)k->step);
    } else if (checkpoint_is_open(k)) {
        checkpoint_withdraw(c, u, k);
        checkpoint_abort(c, u, k, CKPT_ERR_RETIRED, "retired by command");
    } else {
        checkpoint_withdraw(c, u, k);
        checkpoint_retire(c, u, k, "by command");
    }
}

static void change_node(struct coordinator *c, struct coordinator_update *u,
                        const struct message_admin_ask *ask)
{
    if (!name_is_valid(ask->node, CKPT_NODE_NAME_MAX)) {
        u->admin_status = CKPT_ERR_NAME;
        say(u->admin_reason, "that is no name of a node");
    } else if (ask->verb == ADMIN_NODE_DRAIN) {
        node_drain(c, u, ask->node);
    } else if (ask->verb == ADMIN_NODE_UNDRAIN) {
        node_undrain(c, u, ask->node);
    } else {
        node_forget(c, u, ask->node, ask->force);
    }
}

/* An asker of before there were parts takes OK for all of it. */
static void say_more(struct coordinator_update *u, const struct message_admin_ask *ask)
{
    if (u->admin_more && !ask->may_page) {
        u->admin_more = false;
        u->admin_status = CKPT_ERR_BUSY;
        say(u->admin_reason, "more than one command does: repeat it");
    }
}

static void change_checkpoint(struct coordinator *c, struct coordinator_update *u,
                              const struct message_admin_ask *ask)
{
    struct run *run = run_find(c, &ask->run);
    struct checkpoint *k = NULL;
    if (run != NULL && ask->step != CKPT_STEP_LATEST) {
        k = checkpoint_find_step(c, run, ask->step);
    } else if (run != NULL && run->has_latest) {
        k = checkpoint_find_step(c, run, run->latest);
    }
    if (k == NULL) {
        u->admin_status = CKPT_ERR_NOT_FOUND;
        say(u->admin_reason, run == NULL ? "no such run" : "no such checkpoint of this run");
        return;
    }
    if (ask->verb == ADMIN_VERIFY) {
        verify(c, k);
    } else if (ask->verb == ADMIN_RETIRE) {
        retire(c, u, run, k, ask->newer);
    } else if (ask->verb == ADMIN_MARK) {
        mark_checkpoint(c, u, k, ask->mark);
    } else {
        u->admin_status = CKPT_ERR_INVALID;
        say(u->admin_reason, "not a verb that changes anything");
    }
}

void on_admin(struct coordinator *c, struct coordinator_update *u,
              const struct message_admin_ask *ask)
{
    struct run *run;
    switch ((int)ask->verb) {
    case ADMIN_NODE_DRAIN:
    case ADMIN_NODE_UNDRAIN:
    case ADMIN_NODE_FORGET:
        change_node(c, u, ask);
        break;
    case ADMIN_RUN_FORGET:
        run = run_find(c, &ask->run);
        if (run != NULL) {
            run_forget(c, u, run);
        } else {
            u->admin_status = CKPT_ERR_NOT_FOUND;
            say(u->admin_reason, "no such run");
        }
        break;
    default:
        change_checkpoint(c, u, ask);
    }
    say_more(u, ask);
}
