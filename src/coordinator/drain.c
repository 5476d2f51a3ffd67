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
#include "coordinator/state.h"

#include <string.h>

#include "base/planted_bug.h"

#define SHORT_REPAIRS 60 /* for so many times repair_after, others are not asked for room again */

/* Copies on nodes that drain do not count for the shard. */
bool drain_applies(const struct coordinator *c, const struct shard *s)
{
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    if (PLANTED_BUG(DRAIN_HOLDS_SAVES)) {
        return c->drains > 0;
    }
    return c->drains > 0 && !c->drains_short && c->domains_open >= k->copies &&
           !(k->makes_do && checkpoint_is_open(k));
}

/* It is to be let go when its shard has others. */
bool copy_leaves(const struct coordinator *c, const struct shard *s, const struct copy *copy)
{
    return copy->leaves || (c->drains > 0 && c->places[copy->member].last && drain_applies(c, s));
}

bool shard_has_copies_apart(const struct coordinator *c, const struct shard *s)
{
    return shard_domains_apart(c, s, NULL) >= c->checkpoints[s->checkpoint].copies;
}

static void look_again(struct coordinator *c, uint32_t member)
{
    for (uint32_t i = c->members[member].first_copy; i != NONE;) {
        struct copy *copy;
        struct shard *s = copy_shard(c, i, &copy);
        i = copy->next;
        shard_refresh(c, s);
        queue_push(c, s);
    }
}

/* After members came, went, or began to drain: what counts of those that drain may have changed. */
void drains_refresh(struct coordinator *c)
{
    if (!c->drains_stir) {
        return;
    }
    c->drains_stir = false;
    for (uint32_t i = 0; i < c->member_count; i++) {
        if (c->places[i].usable && c->places[i].last) {
            look_again(c, i);
        }
    }
}

/* An open checkpoint that would be given up for the sake of a drain is not. False: it would be
 * given up without one as well. */
bool drain_makes_do(struct coordinator *c, struct checkpoint *k)
{
    if (c->drains == 0 || k->makes_do || c->domains_open < k->copies ||
        PLANTED_BUG(DRAIN_HOLDS_SAVES)) {
        return false;
    }
    k->makes_do = true;
    for (uint32_t i = k->first_shard; i != NONE; i = c->shards[i].next_in_checkpoint) {
        c->shards[i].failures = 0;
        shard_refresh(c, &c->shards[i]);
        queue_push(c, &c->shards[i]);
    }
    return true;
}

/* A node that stays is short of room, and nobody has any to give. */
void drains_give_way(struct coordinator *c)
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

/* ---- whether it may go ---- */

/* As many copies as were asked for are on nodes that stay: neither drain, nor are this one. */
static bool is_kept_elsewhere(const struct coordinator *c, const struct shard *s, uint32_t member)
{
    struct placement_map map = {.member_count = c->member_count, .members = c->places};
    uint32_t holders[COORDINATOR_COPIES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy_is_good(s, copy) && copy->member != member && !c->places[copy->member].last) {
            holders[count++] = copy->member;
        }
    }
    return PLANTED_BUG(SAFE_TOO_EARLY) ||
           placement_domains(&map, holders, count) >= c->checkpoints[s->checkpoint].copies;
}

/* A copy that a restore could be made from, now or when its digest has ended. */
static bool is_something(const struct copy *copy)
{
    return !copy->cached && !copy->bad &&
           (copy->state == COPY_VERIFIED || copy->state == COPY_HELD);
}

static bool has_good_copy(const struct shard *s)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (copy_is_good(s, &s->copies[i])) {
            return true;
        }
    }
    return false;
}

/* Why a shard has too few copies elsewhere; *stuck_out: nothing changes that by itself. */
static const char *why_left(const struct coordinator *c, const struct shard *s, bool is_draining,
                            bool *stuck_out)
{
    struct holders h = shard_holders(c, s);
    uint32_t member;
    *stuck_out = !has_good_copy(s);
    if (*stuck_out) {
        return "has its only copies on nodes that are away";
    }
    if (!is_draining) {
        return "has too few copies on other nodes";
    }
    if (shard_is_pulled(s)) {
        return "is being copied";
    }
    if (!repair_is_due(c, s, &h)) {
        return "has a copy that is away, and waited for";
    }
    *stuck_out = true;
    if (c->domains_open < c->checkpoints[s->checkpoint].copies) {
        return "wants copies in more failure domains than are left";
    }
    if (c->drains_short || place_choose(c, s, &h, &member) != CKPT_OK) {
        return "finds no room on a node in another failure domain";
    }
    *stuck_out = false;
    return "will be copied";
}

static void add_item(const struct coordinator *c, const struct shard *s,
                     struct coordinator_drain_view *view)
{
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    struct coordinator_drain_item item = {
        .run = c->runs[k->run].key, .attempt = k->attempt, .step = k->step, .rank = s->rank};
    item.why = why_left(c, s, view->draining, &item.stuck);
    uint32_t at = view->item_count;
    if (item.stuck && view->stuck < COORDINATOR_DRAIN_ITEMS) {
        at = view->stuck; /* in front; what was there goes behind, or away */
        if (view->item_count < COORDINATOR_DRAIN_ITEMS) {
            view->items[view->item_count] = view->items[at];
        }
    }
    if (at < COORDINATOR_DRAIN_ITEMS) {
        view->items[at] = item;
        view->item_count += view->item_count < COORDINATOR_DRAIN_ITEMS;
    }
    view->left++;
    view->stuck += item.stuck;
    view->bytes += s->bytes;
}

static void look_at_joined(const struct coordinator *c, uint32_t member,
                           struct coordinator_drain_view *view)
{
    for (uint32_t i = c->members[member].first_copy; i != NONE;) {
        struct copy *copy;
        const struct shard *s = copy_shard((struct coordinator *)c, i, &copy);
        i = copy->next;
        if (!checkpoint_is_committed(&c->checkpoints[s->checkpoint])) {
            view->saving++;
        } else if (is_something(copy) && !is_kept_elsewhere(c, s, member)) {
            add_item(c, s, view);
        }
    }
    view->telling = !c->members[member].inventory_told;
}

/* All that was ever known to be there, and has not been made anew. */
static void look_at_away(const struct coordinator *c, uint32_t home,
                         struct coordinator_drain_view *view)
{
    for (uint32_t i = 0; i < c->checkpoints_high; i++) {
        const struct checkpoint *k = &c->checkpoints[i];
        uint32_t at = k->used && checkpoint_is_committed(k) ? k->first_shard : NONE;
        for (; at != NONE; at = c->shards[at].next_in_checkpoint) {
            const struct shard *s = &c->shards[at];
            bool is_home = false;
            for (uint32_t j = 0; j < CKPT_COPIES_MAX; j++) {
                is_home = is_home || s->homes[j] == home;
            }
            if (is_home && !is_kept_elsewhere(c, s, NONE)) {
                add_item(c, s, view);
            }
        }
    }
}

bool coordinator_drain_view(const struct coordinator *c, const char *node,
                            struct coordinator_drain_view *view_out)
{
    const struct member *m = roster_find((struct coordinator *)c, node);
    uint32_t home = home_find(c, node);
    *view_out = (struct coordinator_drain_view){.domain = ""};
    if (m == NULL && home == NONE) {
        return false;
    }
    if (m != NULL) {
        view_out->domain = c->domain_names[c->places[m - c->members].domain];
        view_out->joined = m->state == MEMBER_JOINED;
        view_out->stopped = m->stopped;
        view_out->draining = m->draining;
    }
    if (view_out->joined) {
        look_at_joined(c, (uint32_t)(m - c->members), view_out);
    } else if (home != NONE) {
        look_at_away(c, home, view_out);
    }
    view_out->safe = view_out->left == 0 && !view_out->telling;
    return true;
}

/* ---- by command, and by and by ---- */

static struct machine_note *note_of(struct coordinator_update *u, enum event_id event,
                                    const char *node)
{
    struct machine_note *note = update_note(u, event);
    strcpy(note->node, node);
    return note;
}

static void record_drain(struct coordinator *c, struct coordinator_update *u,
                         enum coordinator_record_type type, const struct member *m)
{
    struct coordinator_record *record = update_record(c, u, type);
    strcpy(record->run.name, m->node);
    say(record->reason, "%s", c->domain_names[c->places[m - c->members].domain]);
}

/* A node that copies belong to and that has not joined yet is known by its name alone. */
void node_drain(struct coordinator *c, struct coordinator_update *u, const char *node)
{
    struct member *m = roster_find(c, node);
    if (m == NULL && !node_is_home(c, node)) {
        u->admin_status = CKPT_ERR_NOT_FOUND;
        say(u->admin_reason, "no node %s is known", node);
        return;
    }
    m = m != NULL ? m : roster_add_lost(c, u, node, node);
    if (m == NULL) {
        u->admin_status = CKPT_ERR_FULL;
        say(u->admin_reason, "agents_max nodes are joined already: there is no place for %s", node);
        return;
    }
    if (m->draining) {
        say(u->admin_reason, "node %s is to be drained already", node);
        return;
    }
    roster_set_draining(c, (uint32_t)(m - c->members), true);
    record_drain(c, u, RECORD_DRAINED, m);
    say(note_of(u, EVENT_node_drain, node)->text,
        "by command: it takes no new copies, and what is kept there is made anew elsewhere");
}

void node_undrain(struct coordinator *c, struct coordinator_update *u, const char *node)
{
    struct member *m = roster_find(c, node);
    if (m == NULL && !node_is_home(c, node)) {
        u->admin_status = CKPT_ERR_NOT_FOUND;
        say(u->admin_reason, "no node %s is known", node);
        return;
    }
    if (m == NULL || !m->draining) {
        say(u->admin_reason, "node %s is not to be drained", node);
        return;
    }
    uint32_t member = (uint32_t)(m - c->members);
    roster_set_draining(c, member, false);
    record_drain(c, u, RECORD_UNDRAINED, m);
    look_again(c, member);
    unpark_all(c); /* what found no room may have some there */
    say(note_of(u, EVENT_node_undrain, node)->text, "by command: it takes copies again");
}

/* Where the tables have become too small for it, it is drained again by hand. */
enum ckpt_status replay_drain(struct coordinator *c, struct coordinator_update *u,
                              const struct coordinator_record *record)
{
    if (!name_is_valid(record->run.name, CKPT_NODE_NAME_MAX) ||
        !name_is_valid(record->reason, CKPT_DOMAIN_NAME_MAX)) {
        return CKPT_ERR_CORRUPT;
    }
    struct member *m = roster_find(c, record->run.name);
    bool has_place =
        c->member_count < c->config.agents_max || index_set_from(&c->members_free, 0) != NONE;
    if (m == NULL && has_place) {
        m = roster_add_lost(c, u, record->run.name, record->reason);
    }
    if (m != NULL) {
        roster_set_draining(c, (uint32_t)(m - c->members), true);
    }
    return CKPT_OK;
}

static bool is_safe(const struct coordinator *c, uint32_t member)
{
    for (uint32_t i = c->members[member].first_copy; i != NONE;) {
        struct copy *copy;
        const struct shard *s = copy_shard((struct coordinator *)c, i, &copy);
        i = copy->next;
        if (checkpoint_is_committed(&c->checkpoints[s->checkpoint]) && is_something(copy) &&
            !is_kept_elsewhere(c, s, member)) {
            return false;
        }
    }
    return c->members[member].inventory_told;
}

/* A copy that was in use when it was to be let go is not any more, perhaps. */
static void look_at_kept(struct coordinator *c, uint32_t member)
{
    for (uint32_t i = c->members[member].first_copy; i != NONE;) {
        struct copy *copy;
        struct shard *s = copy_shard(c, i, &copy);
        i = copy->next;
        if (copy_is_good(s, copy) && copy->order_kind == ORDER_NONE &&
            checkpoint_is_committed(&c->checkpoints[s->checkpoint])) {
            queue_push(c, s);
        }
    }
}

void drains_tick(struct coordinator *c, struct coordinator_update *u)
{
    try_again(c);
    drains_refresh(c); /* before a commit in this turn */
    for (uint32_t i = 0; c->drains > 0 && i < c->member_count; i++) {
        struct member *m = &c->members[i];
        if (!c->places[i].usable || !c->places[i].last) {
            continue;
        }
        bool safe = is_safe(c, i);
        if (safe && !m->drained) {
            say(note_of(u, EVENT_node_drained, m->node)->text,
                "nothing is kept there alone: it may go");
        } else if (!safe && m->drained) {
            say(note_of(u, EVENT_node_drain_broken, m->node)->text,
                "something is kept there alone again: it may not go");
        }
        m->drained = safe;
        look_at_kept(c, i);
    }
}
