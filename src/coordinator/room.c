/* SPDX-License-Identifier: Apache-2.0 */
/* Room on a node that is full, and places in the tables: who gives what.
 *
 * Copies too many go first. Then consistent checkpoints below their run's newest are retired before
 * their time, loudly: those of the run in need, then those of the same user's other runs, then
 * those of users who hold more there than the one in need does. When there is none left,
 * those that can't be the newest again go in the same order: quarantined, and marked poisoned or
 * passed over. The newest consistent checkpoint of a run is never given, nor one that a load uses.
 * One gift a round: what it frees is heard of with the next heartbeats.
 *
 * When nobody has anything to give for repair_after, copies that have come together here go to
 * nodes that have room; where there are none, to nodes that are to be drained (drain.c). And where
 * saves of one run wait for each other's memory, the first of them gets it. */
#include "coordinator/room.h"

#include <assert.h>
#include <string.h>

#include "base/planted_bug.h"
#include "coordinator/checkpoint.h"
#include "coordinator/copy.h"
#include "coordinator/drain.h"
#include "coordinator/fit.h"
#include "coordinator/note.h"
#include "coordinator/place.h"
#include "coordinator/queue.h"
#include "coordinator/repair.h"
#include "coordinator/restore_state.h"
#include "coordinator/run.h"
#include "coordinator/share.h"
#include "coordinator/surplus.h"
#include "coordinator/update.h"

/* Of whom something may be taken, in this order. */
enum giver {
    GIVER_SELF,
    GIVER_SAME_USER,
    GIVER_OTHER_USER,
    GIVER_SET_ASIDE, /* and the three again, of what is set aside */
    GIVER_SET_ASIDE_SAME_USER,
    GIVER_SET_ASIDE_OTHER_USER,
    GIVER_NONE,
};

struct gift {
    enum giver giver;
    struct checkpoint *checkpoint;
};

static uint64_t bytes_of_user(const struct coordinator *c, uint32_t member, uint32_t uid)
{
    assert(member < c->member_count);
    uint64_t bytes = 0;
    for (uint32_t i = c->members[member].first_copy; i != NONE;) {
        struct copy *copy;
        const struct shard *s = coordinator_copy_shard((struct coordinator *)c, i, &copy);
        i = copy->next;
        if (c->runs[c->checkpoints[s->checkpoint].run].key.uid == uid) {
            bytes += coordinator_shard_room(c, s, member);
        }
    }
    return bytes;
}

/* GIVER_OTHER_USER: if he holds more than who is in need. */
static enum giver giver_of(const struct coordinator *c, const struct checkpoint *k,
                           const struct run_key *needs)
{
    assert(k->used);
    const struct run *run = &c->runs[k->run];
    bool is_set_aside =
        k->state == CHECKPOINT_QUARANTINED && (k->mark == MARK_POISONED || k->passed_over);
    bool is_newest = run->has_latest && k->step >= run->latest && !is_set_aside;
    enum giver first = is_set_aside ? GIVER_SET_ASIDE : GIVER_SELF;
    if (!checkpoint_is_committed(k) || is_newest || coordinator_restore_may_use(c, k)) {
        return GIVER_NONE;
    }
    if (run->key.uid != needs->uid) {
        return first + GIVER_OTHER_USER;
    }
    return first + (strcmp(run->key.name, needs->name) == 0 ? GIVER_SELF : GIVER_SAME_USER);
}

static bool is_of_other(enum giver giver)
{
    return giver == GIVER_OTHER_USER || giver == GIVER_SET_ASIDE_OTHER_USER;
}

static void prefer_gift(struct gift *gift, struct checkpoint *k, enum giver giver)
{
    if (giver < gift->giver ||
        (giver != GIVER_NONE && giver == gift->giver && k->step < gift->checkpoint->step)) {
        *gift = (struct gift){.giver = giver, .checkpoint = k};
    }
}

/* The nearest giver's oldest. */
static struct gift find_gift(struct coordinator *c, uint32_t member, const struct run *needs)
{
    assert(member < c->member_count);
    struct gift gift = {.giver = GIVER_NONE};
    uint32_t looked_at = NONE; /* copies of one checkpoint often lie side by side */
    for (uint32_t i = c->members[member].first_copy; i != NONE;) {
        struct copy *copy;
        const struct shard *s = coordinator_copy_shard(c, i, &copy);
        i = copy->next;
        struct checkpoint *k = &c->checkpoints[s->checkpoint];
        if (s->checkpoint == looked_at || k == gift.checkpoint) {
            continue;
        }
        looked_at = s->checkpoint;
        enum giver giver = giver_of(c, k, &needs->key);
        if (!is_of_other(giver) || bytes_of_user(c, member, c->runs[k->run].key.uid) >
                                       bytes_of_user(c, member, needs->key.uid)) {
            prefer_gift(&gift, k, giver);
        }
    }
    return gift;
}

/* Lets go what is one too many, and is on that member. */
static uint64_t trim(struct coordinator *c, uint32_t member, uint64_t bytes)
{
    assert(member < c->member_count);
    uint64_t freed = 0;
    for (uint32_t i = c->members[member].first_copy; i != NONE && freed < bytes;) {
        struct copy *copy;
        struct shard *s = coordinator_copy_shard(c, i, &copy);
        i = copy->next;
        if (copy->order_kind == ORDER_LET_GO) {
            freed += coordinator_shard_room(c, s, member);
        } else if (checkpoint_is_committed(&c->checkpoints[s->checkpoint]) &&
                   coordinator_shard_surplus(c, s) == copy && coordinator_update_has_room(c, 2)) {
            freed += coordinator_shard_room(c, s, member);
            (void)coordinator_shard_let_surplus_go(c, s);
        }
    }
    return freed;
}

/* Copies of newest checkpoints may have come together on one node, while others were away: they
 * move to where there is room. Bytes that come free so. */
static uint64_t move_away(struct coordinator *c, uint32_t member, uint64_t bytes)
{
    assert(member < c->member_count);
    uint64_t freed = 0;
    for (uint32_t i = c->members[member].first_copy; i != NONE && freed < bytes;) {
        struct copy *copy;
        struct shard *s = coordinator_copy_shard(c, i, &copy);
        i = copy->next;
        if (!checkpoint_is_committed(&c->checkpoints[s->checkpoint])) {
            continue;
        }
        if (!copy->leaves && coordinator_copy_may_leave(c, s, copy)) {
            copy->leaves = true;
            coordinator_queue_push(c, s);
        }
        freed += copy->leaves ? coordinator_shard_room(c, s, member) : 0;
    }
    return freed;
}

/* A save that ends soon may leave room, so that only lasting need is worth a copy's way. One that
 * is given up for the next leaves room as well, and the need goes on. */
static bool is_short_for_long(const struct coordinator *c, struct member *m)
{
    assert(m->state != MEMBER_FREE);
    bool goes_on = m->short_ms > 0 && c->now_ms < m->short_ms + c->config.repair_after_ms &&
                   m->relieved_ms <= m->short_since_ms;
    m->short_since_ms = goes_on ? m->short_since_ms : c->now_ms;
    m->short_ms = c->now_ms;
    return c->now_ms >= m->short_since_ms + c->config.repair_after_ms;
}

bool coordinator_make_room(struct coordinator *c, uint32_t member, const struct run *run,
                           uint64_t bytes)
{
    assert(member < c->member_count);
    struct member *m = &c->members[member];
    if (m->relieved_ms > 0 && c->now_ms < m->relieved_ms + c->config.resend_ms) {
        return true;
    }
    if (PLANTED_BUG(FULL_IS_FINAL)) {
        return false;
    }
    if (trim(c, member, bytes) >= bytes) {
        m->relieved_ms = c->now_ms;
        return true;
    }
    struct gift gift = find_gift(c, member, run);
    if (gift.giver == GIVER_NONE) {
        bool is_long = is_short_for_long(c, m);
        bool moves = is_long && move_away(c, member, bytes) > 0;
        if (is_long && !moves) {
            coordinator_drains_give_way(c);
        }
        m->relieved_ms = moves ? c->now_ms : m->relieved_ms;
        return moves;
    }
    if (c->update->record_count + 2 > COORDINATOR_RECORDS_MAX ||
        !coordinator_update_has_room(c, 2) ||
        coordinator_checkpoint_is_committed_now(c, gift.checkpoint)) {
        c->update->again = true;
        return false;
    }
    struct checkpoint *k = gift.checkpoint;
    struct about about = about_checkpoint(c, k);
    about.node = m->node;
    coordinator_note(
        c, EVENT_retired_early, about,
        "node %s has no room for run %.100s: an older checkpoint goes before its time; for keep = "
        "%u its arena is too small",
        m->node, run->key.name, c->config.keep);
    coordinator_checkpoint_retire(c, k, "memory was short, and newer ones are kept");
    m->relieved_ms = c->now_ms;
    return true;
}

static uint64_t bytes_of(const struct coordinator *c, const struct checkpoint *k, uint32_t member)
{
    assert(k->used);
    assert(member < c->member_count);
    uint64_t bytes = 0;
    for (uint32_t i = k->first_shard; i != NONE; i = c->shards[i].next_in_checkpoint) {
        struct shard *s = &((struct coordinator *)c)->shards[i];
        bytes +=
            coordinator_copy_find(s, member) != NULL ? coordinator_shard_room(c, s, member) : 0;
    }
    return bytes;
}

void coordinator_make_room_for_first(struct coordinator *c, uint32_t member,
                                     const struct checkpoint *k, uint64_t bytes)
{
    assert(member < c->member_count);
    assert(k->used);
    struct member *m = &c->members[member];
    bool is_first = checkpoint_is_open(k) && k->sealed == k->world;
    const struct run *run = &c->runs[k->run];
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        const struct checkpoint *other = &c->checkpoints[i];
        is_first = is_first && (!checkpoint_is_open(other) || other->step >= k->step ||
                                other->sealed < other->world);
    }
    if (!is_first || (m->relieved_ms > 0 && c->now_ms < m->relieved_ms + c->config.resend_ms)) {
        return;
    }
    uint64_t freed = 0;
    for (uint32_t i = run->first_checkpoint; i != NONE && freed < bytes;
         i = c->checkpoints[i].next_in_run) {
        struct checkpoint *later = &c->checkpoints[i];
        uint64_t gives = checkpoint_is_open(later) && later->attempt == k->attempt &&
                                 later->step > k->step && coordinator_update_has_room(c, 4)
                             ? bytes_of(c, later, member)
                             : 0;
        if (gives > 0) {
            freed += gives;
            m->relieved_ms = c->now_ms;
            coordinator_checkpoint_abort(
                c, later, CKPT_ERR_FULL,
                "node %s has no room for its copies beside those of step %llu, which "
                "was saved before it",
                m->node, (unsigned long long)k->step);
        }
    }
}

void coordinator_on_need(struct coordinator *c, uint32_t member, const struct message_need *need)
{
    assert(member < c->member_count);
    const struct run *run = coordinator_run_find(c, &need->shard.run);
    /* A run that has never saved has nothing to give itself; its user's others have. */
    const struct run unknown = {.key = need->shard.run};
    if (run != NULL) {
        coordinator_run_gone_on(c, run, &need->shard, member);
    }
    uint64_t bytes =
        need->bytes > 0 ? need->bytes : need->segments * c->members[member].segment_bytes;
    (void)coordinator_make_room(c, member, run != NULL ? run : &unknown, bytes);
}

bool coordinator_make_place(struct coordinator *c, const struct run_key *needs)
{
    struct gift gift = {.giver = GIVER_NONE};
    /* Besides this one: the key and the attempt of the run that comes. */
    if (c->update->record_count + 3 > COORDINATOR_RECORDS_MAX ||
        !coordinator_update_has_room(c, 4) || PLANTED_BUG(FULL_IS_FINAL)) {
        return false;
    }
    for (uint32_t i = 0; i < c->checkpoints_high; i++) {
        struct checkpoint *k = &c->checkpoints[i];
        enum giver giver = k->used ? giver_of(c, k, needs) : GIVER_NONE;
        if (!is_of_other(giver) ||
            coordinator_share_is_larger(c, c->runs[k->run].key.uid, needs->uid)) {
            prefer_gift(&gift, k, giver);
        }
    }
    if (gift.giver == GIVER_NONE) {
        return false;
    }
    if (coordinator_checkpoint_is_committed_now(c, gift.checkpoint)) {
        c->update->again = true;
        return false;
    }
    struct checkpoint *k = gift.checkpoint;
    coordinator_note(
        c, EVENT_retired_early, about_checkpoint(c, k),
        "the tables have no place for run %.100s: an older checkpoint goes before its time; raise "
        "checkpoints_max or shards_max",
        needs->name);
    coordinator_checkpoint_retire(c, k, "the tables were full, and newer ones are kept");
    return true;
}
