/* SPDX-License-Identifier: Apache-2.0 */
/* What a person gives up: a node that will not come back, a run that nobody wants any more.
 *
 * A node that is forgotten leaves the tables, and nobody waits for its copies where there are
 * others, or where other nodes that are away may have some: they are repaired at once. Absence is
 * no evidence, so where it is the last that is known to hold a shard its name stays on record with
 * that, and a load goes on naming it: only a mark gives such a checkpoint up. */
#include "coordinator/forget.h"

#include <assert.h>

#include "base/reason.h"
#include "coordinator/home.h"
#include "coordinator/job.h"
#include "coordinator/linger.h"
#include "coordinator/note.h"
#include "coordinator/queue.h"
#include "coordinator/repair.h"
#include "coordinator/restore_state.h"
#include "coordinator/roster.h"
#include "coordinator/seat.h"
#include "coordinator/table.h"

/* Nobody else has a copy of it, or may have one. */
static bool is_last(const struct coordinator *c, const struct shard *s, uint32_t home)
{
    assert(s->used);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (copy_is_good(s, &s->copies[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < CKPT_COPIES_MAX; i++) {
        if (s->homes[i] != NONE && s->homes[i] != home &&
            !coordinator_home_is_heard(c, &c->homes[s->homes[i]])) {
            return false;
        }
    }
    return true;
}

static bool is_of(const struct shard *s, uint32_t home)
{
    assert(s->used);
    for (uint32_t i = 0; i < CKPT_COPIES_MAX; i++) {
        if (home != NONE && s->homes[i] == home) {
            return true;
        }
    }
    return false;
}

/* Shards of consistent checkpoints that only this node is known to hold; text (CKPT_REASON_MAX + 1
 * bytes) names one. */
static uint32_t count_last(const struct coordinator *c, uint32_t home, char *text)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->checkpoints_high; i++) {
        const struct checkpoint *k = &c->checkpoints[i];
        uint32_t at = k->used && k->state == CHECKPOINT_CONSISTENT ? k->first_shard : NONE;
        for (; at != NONE; at = c->shards[at].next_in_checkpoint) {
            const struct shard *s = &c->shards[at];
            if (!is_of(s, home) || !is_last(c, s, home)) {
                continue;
            }
            if (count++ == 0) {
                reason_set(text, "run %.100s step %llu rank %u", c->runs[k->run].key.name,
                           (unsigned long long)k->step, s->rank);
            }
        }
    }
    return count;
}

/* False: there is no room for more records in this turn. */
static bool drop_homes(struct coordinator *c, uint32_t home)
{
    for (uint32_t i = 0; i < c->checkpoints_high; i++) {
        const struct checkpoint *k = &c->checkpoints[i];
        uint32_t at = k->used && checkpoint_is_committed(k) ? k->first_shard : NONE;
        for (; at != NONE; at = c->shards[at].next_in_checkpoint) {
            struct shard *s = &c->shards[at];
            if (!is_of(s, home) || is_last(c, s, home)) {
                continue;
            }
            if (c->update->record_count + 2 > COORDINATOR_RECORDS_MAX) {
                return false;
            }
            coordinator_shard_drop_home(c, s, home);
            if (!coordinator_shard_has_homes(s)) {
                coordinator_shard_set_homes_as_held(c, s, NULL);
            }
            coordinator_shard_write_homes(c, s);
            coordinator_queue_push(c, s);
        }
    }
    return true;
}

void coordinator_node_forget(struct coordinator *c, const char *node, bool force)
{
    struct member *m = coordinator_member_by_name(c, node);
    uint32_t home = coordinator_home_find(c, node);
    char first[CKPT_REASON_MAX + 1] = "";
    if (m == NULL && home == NONE) {
        c->update->admin_status = CKPT_ERR_NOT_FOUND;
        reason_set(c->update->admin_reason, "no node %s is known", node);
        return;
    }
    if (m != NULL && m->state == MEMBER_JOINED) {
        c->update->admin_status = CKPT_ERR_BUSY;
        reason_set(c->update->admin_reason, "node %s is joined: end its agent first", node);
        return;
    }
    uint32_t last = count_last(c, home, first);
    if (last > 0 && !force) {
        c->update->admin_status = CKPT_ERR_LOST;
        reason_set(
            c->update->admin_reason,
            "node %s is the last that is known to hold %.120s (%u shards in all): bring it back",
            node, first, last);
        return;
    }
    if (!drop_homes(c, home)) {
        c->update->admin_more = true;
        return;
    }
    if (m != NULL) {
        coordinator_roster_forget(c, m, "by command");
    }
    if (last > 0) {
        reason_set(c->update->admin_reason,
                   "%u shards, as %.120s, belong there alone: their loads go on waiting for it",
                   last, first);
    }
}

static uint32_t count_live(const struct coordinator *c, const struct run *run)
{
    assert(run->used);
    uint32_t live = 0;
    for (uint32_t i = run->first_start; i != NONE; i = c->starts[i].next_in_run) {
        live += c->starts[i].live;
    }
    return live;
}

void coordinator_run_forget(struct coordinator *c, struct run *run)
{
    assert(run->used);
    const char *why = "by command: the run is forgotten";
    if (coordinator_run_has_live_seat(c, run)) {
        c->update->admin_status = CKPT_ERR_BUSY;
        reason_set(c->update->admin_reason, "%u ranks of it are connected: end them first",
                   count_live(c, run));
    } else if (coordinator_restore_waits(&run->restore)) {
        c->update->admin_status = CKPT_ERR_BUSY;
        reason_set(c->update->admin_reason, "a restore of it is under way");
    } else if (coordinator_run_release(c, run, true, why)) {
        coordinator_note(c, EVENT_run_forgotten, about_run(run, 0),
                         "by command: nothing of it is kept any more");
        coordinator_run_set_ended(c, run, false);
    } else if (c->update->again) {
        c->update->admin_more = true;
    } else {
        c->update->admin_status = CKPT_ERR_BUSY;
        reason_set(c->update->admin_reason, "a restore of it is under way");
    }
}
