/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that are to go: they take no new copies, and what is kept there is made anew elsewhere.
 *
 *   joined --drain--> draining --nothing is kept there alone--> drained, "safe"
 *
 * What is saved meanwhile, by ranks of that node too, becomes consistent when it has all its copies
 * apart from nodes that drain, so that who was once safe stays so; and of what is consistent a copy
 * on such a node is let go, the owner's too, as soon as there are enough others.
 *
 * A drain never costs a save. Where fewer failure domains are left than copies were asked for, or a
 * save has waited for others' room for repair_after, or its copies cannot be made there, copies on
 * draining nodes count as ever, and such a node is chosen where no other will do; for some time
 * where nodes that stay have no room of their own left. Then the node is not safe, and says why.
 *
 * It is on record, so that a coordinator or a node that starts anew goes on with it, and ends by
 * command alone, or with the node's name. */
#include "coordinator/drain.h"

#include <assert.h>
#include <string.h>

#include "base/reason.h"
#include "base/planted_bug.h"
#include "coordinator/copy.h"
#include "coordinator/drain_view.h"
#include "coordinator/home.h"
#include "coordinator/note.h"
#include "coordinator/queue.h"
#include "coordinator/redundancy.h"
#include "coordinator/roster.h"
#include "coordinator/table.h"
#include "coordinator/update.h"

#define SHORT_REPAIRS 60 /* for so many times repair_after, others are not asked for room again */

static void drain_look_again(struct coordinator *c, uint32_t member)
{
    assert(member < c->member_count);
    for (uint32_t i = c->members[member].first_copy; i != NONE;) {
        struct copy *copy;
        struct shard *s = coordinator_copy_shard(c, i, &copy);
        i = copy->next;
        coordinator_shard_refresh(c, s);
        coordinator_queue_push(c, s);
    }
}

void coordinator_drains_refresh(struct coordinator *c)
{
    if (!c->drains_stir) {
        return;
    }
    c->drains_stir = false;
    for (uint32_t i = 0; i < c->member_count; i++) {
        if (c->places[i].usable && c->places[i].last) {
            drain_look_again(c, i);
        }
    }
}

bool coordinator_drain_makes_do(struct coordinator *c, struct checkpoint *k)
{
    assert(k->used);
    if (c->drains == 0 || k->makes_do || c->domains_open < k->copies ||
        PLANTED_BUG(DRAIN_HOLDS_SAVES)) {
        return false;
    }
    k->makes_do = true;
    for (uint32_t i = k->first_shard; i != NONE; i = c->shards[i].next_in_checkpoint) {
        c->shards[i].failures = 0;
        coordinator_shard_refresh(c, &c->shards[i]);
        coordinator_queue_push(c, &c->shards[i]);
    }
    return true;
}

void coordinator_drains_give_way(struct coordinator *c)
{
    if (c->drains > 0 && !PLANTED_BUG(DRAIN_HOLDS_SAVES)) {
        c->drains_stir = c->drains_stir || !c->drains_short;
        c->drains_short = true;
        c->drains_short_ms = c->now_ms;
    }
}

static void try_again(struct coordinator *c)
{
    uint64_t pause_ms = SHORT_REPAIRS * (uint64_t)c->config.repair_after_ms;
    if (c->drains_short && (c->drains == 0 || c->now_ms >= c->drains_short_ms + pause_ms)) {
        c->drains_short = false;
        c->drains_stir = true;
    }
}

static void record_drain(struct coordinator *c, enum coordinator_record_type type,
                         const struct member *m)
{
    assert(m->state != MEMBER_FREE);
    struct coordinator_record *record = coordinator_update_record(c, type);
    strcpy(record->run.name, m->node);
    reason_set(record->reason, "%s", c->domain_names[c->places[m - c->members].domain]);
}

void coordinator_node_drain(struct coordinator *c, const char *node)
{
    struct member *m = coordinator_member_by_name(c, node);
    if (m == NULL && !coordinator_node_is_home(c, node)) {
        c->update->admin_status = CKPT_ERR_NOT_FOUND;
        reason_set(c->update->admin_reason, "no node %s is known", node);
        return;
    }
    m = m != NULL ? m : coordinator_roster_add_lost(c, node, node);
    if (m == NULL) {
        c->update->admin_status = CKPT_ERR_FULL;
        reason_set(c->update->admin_reason,
                   "agents_max nodes are joined already: there is no place for %s", node);
        return;
    }
    if (m->draining) {
        reason_set(c->update->admin_reason, "node %s is to be drained already", node);
        return;
    }
    coordinator_roster_set_draining(c, (uint32_t)(m - c->members), true);
    record_drain(c, RECORD_DRAINED, m);
    coordinator_note(
        c, EVENT_node_drain, about_node(node),
        "by command: it takes no new copies, and what is kept there is made anew elsewhere");
}

void coordinator_node_undrain(struct coordinator *c, const char *node)
{
    struct member *m = coordinator_member_by_name(c, node);
    if (m == NULL && !coordinator_node_is_home(c, node)) {
        c->update->admin_status = CKPT_ERR_NOT_FOUND;
        reason_set(c->update->admin_reason, "no node %s is known", node);
        return;
    }
    if (m == NULL || !m->draining) {
        reason_set(c->update->admin_reason, "node %s is not to be drained", node);
        return;
    }
    uint32_t member = (uint32_t)(m - c->members);
    coordinator_roster_set_draining(c, member, false);
    record_drain(c, RECORD_UNDRAINED, m);
    drain_look_again(c, member);
    coordinator_queue_unpark_all(c); /* what found no room may have some there */
    coordinator_note(c, EVENT_node_undrain, about_node(node), "by command: it takes copies again");
}

enum ckpt_status coordinator_replay_drain(struct coordinator *c,
                                          const struct coordinator_record *record)
{
    if (!name_is_valid(record->run.name, CKPT_NODE_NAME_MAX) ||
        !name_is_valid(record->reason, CKPT_DOMAIN_NAME_MAX)) {
        return CKPT_ERR_CORRUPT;
    }
    struct member *m = coordinator_member_by_name(c, record->run.name);
    bool has_place =
        c->member_count < c->config.agents_max || index_set_from(&c->members_free, 0) != NONE;
    if (m == NULL && has_place) {
        m = coordinator_roster_add_lost(c, record->run.name, record->reason);
    }
    if (m != NULL) {
        coordinator_roster_set_draining(c, (uint32_t)(m - c->members), true);
    }
    return CKPT_OK;
}

/* A copy that was in use when it was to be let go is not any more, perhaps. */
static void look_at_kept(struct coordinator *c, uint32_t member)
{
    assert(member < c->member_count);
    for (uint32_t i = c->members[member].first_copy; i != NONE;) {
        struct copy *copy;
        struct shard *s = coordinator_copy_shard(c, i, &copy);
        i = copy->next;
        if (copy_is_good(s, copy) && copy->order_kind == ORDER_NONE &&
            checkpoint_is_committed(&c->checkpoints[s->checkpoint])) {
            coordinator_queue_push(c, s);
        }
    }
}

void coordinator_drains_tick(struct coordinator *c)
{
    assert(c->drains <= c->member_count);
    try_again(c);
    coordinator_drains_refresh(c); /* before a commit in this turn */
    for (uint32_t i = 0; c->drains > 0 && i < c->member_count; i++) {
        struct member *m = &c->members[i];
        if (!c->places[i].usable || !c->places[i].last) {
            continue;
        }
        bool safe = coordinator_drain_is_safe(c, i);
        if (safe && !m->drained) {
            coordinator_note(c, EVENT_node_drained, about_node(m->node),
                             "nothing is kept there alone: it may go");
        } else if (!safe && m->drained) {
            coordinator_note(c, EVENT_node_drain_broken, about_node(m->node),
                             "something is kept there alone again: it may not go");
        }
        m->drained = safe;
        look_at_kept(c, i);
    }
}
