/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a node that is to go may go: what is kept there alone, and what it waits for. */
#include "coordinator/drain_view.h"

#include <assert.h>

#include "coordinator/copy.h"
#include "coordinator/home.h"
#include "coordinator/place.h"
#include "coordinator/redundancy.h"
#include "coordinator/repair.h"
#include "coordinator/surplus.h"
#include "coordinator/table.h"

/* A copy that a restore could be made from, now or when its digest has ended. */
static bool is_something(const struct copy *copy)
{
    assert(copy->member != NONE);
    return !copy->cached && !copy->bad &&
           (copy->state == COPY_VERIFIED || copy->state == COPY_ADOPTED);
}

static bool has_good_copy(const struct shard *s)
{
    assert(s->used);
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
    assert(s->used);
    struct holders h = coordinator_shard_holders(c, s);
    uint32_t member;
    *stuck_out = !has_good_copy(s);
    if (*stuck_out) {
        return "has its only copies on nodes that are away";
    }
    if (!is_draining) {
        return "has too few copies on other nodes";
    }
    if (coordinator_shard_is_pulled(s)) {
        return "is being copied";
    }
    if (!coordinator_repair_is_due(c, s, &h)) {
        return "has a copy that is away, and waited for";
    }
    *stuck_out = true;
    if (c->domains_open < c->checkpoints[s->checkpoint].copies) {
        return "wants copies in more failure domains than are left";
    }
    if (c->drains_short || coordinator_place_choose(c, s, &h, &member) != CKPT_OK) {
        return "finds no room on a node in another failure domain";
    }
    *stuck_out = false;
    return "will be copied";
}

static void add_item(const struct coordinator *c, const struct shard *s,
                     struct coordinator_drain_view *view)
{
    assert(s->used);
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
    assert(member < c->member_count);
    for (uint32_t i = c->members[member].first_copy; i != NONE;) {
        struct copy *copy;
        const struct shard *s = coordinator_copy_shard((struct coordinator *)c, i, &copy);
        i = copy->next;
        if (!checkpoint_is_committed(&c->checkpoints[s->checkpoint])) {
            view->saving++;
        } else if (is_something(copy) && !coordinator_redundancy_is_met_without(c, s, member)) {
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
            if (is_home && !coordinator_redundancy_is_met_without(c, s, NONE)) {
                add_item(c, s, view);
            }
        }
    }
}

bool coordinator_drain_view(const struct coordinator *c, const char *node,
                            struct coordinator_drain_view *view_out)
{
    const struct member *m = coordinator_member_by_name((struct coordinator *)c, node);
    uint32_t home = coordinator_home_find(c, node);
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

bool coordinator_drain_is_safe(const struct coordinator *c, uint32_t member)
{
    assert(member < c->member_count);
    for (uint32_t i = c->members[member].first_copy; i != NONE;) {
        struct copy *copy;
        const struct shard *s = coordinator_copy_shard((struct coordinator *)c, i, &copy);
        i = copy->next;
        if (checkpoint_is_committed(&c->checkpoints[s->checkpoint]) && is_something(copy) &&
            !coordinator_redundancy_is_met_without(c, s, member)) {
            return false;
        }
    }
    return c->members[member].inventory_told;
}
