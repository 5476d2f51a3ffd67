/* SPDX-License-Identifier: Apache-2.0 */
/* What people ask of a checkpoint: how whole it is now, and what it waits for. The machine decides
 * nothing by it. */
#include <assert.h>

#include "coordinator/home.h"
#include "coordinator/place.h"
#include "coordinator/redundancy.h"
#include "coordinator/repair.h"
#include "coordinator/seat.h"
#include "coordinator/shard.h"
#include "coordinator/state.h"

bool coordinator_degree_view(const struct coordinator *c, uint32_t checkpoint_index,
                             struct coordinator_degree_view *view_out)
{
    if (checkpoint_index >= c->checkpoints_high || !c->checkpoints[checkpoint_index].used) {
        return false;
    }
    const struct checkpoint *k = &c->checkpoints[checkpoint_index];
    struct coordinator_degree_view view = {.copies_fewest = k->copies};
    if (checkpoint_is_committed(k)) {
        view.degree = DEGREE_CONSISTENT;
    }
    bool is_whole = view.degree == DEGREE_NONE || k->ready == k->world;
    for (uint32_t i = k->first_shard; i != NONE && !is_whole; i = c->shards[i].next_in_checkpoint) {
        uint32_t copies = coordinator_redundancy(c, &c->shards[i]);
        view.copies_fewest = copies < view.copies_fewest ? copies : view.copies_fewest;
        view.shards_short += copies < k->copies;
        view.shards_lost += copies == 0;
    }
    if (view.shards_lost > 0) {
        view.degree = DEGREE_LOST;
    } else if (view.shards_short > 0) {
        view.degree = view.copies_fewest == 1 ? DEGREE_AT_RISK : DEGREE_DEGRADED;
    }
    *view_out = view;
    return true;
}

static const char *node_of(const struct coordinator *c, uint32_t member)
{
    return member != NONE ? c->members[member].node : "";
}

/* On which node the rank runs, as far as it has told. */
static const char *seat_node(const struct coordinator *c, const struct run *run, uint32_t rank)
{
    assert(run->used);
    const struct seat *seat =
        run->start != NONE ? coordinator_seat_find(c, &c->starts[run->start], rank) : NULL;
    return seat != NULL ? node_of(c, seat->member) : "";
}

/* A copy that is on its way to count, pulled or else digested; NULL: there is none. */
static const struct copy *coming(const struct shard *s, bool pulled)
{
    assert(s->used);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        bool pulls = copy->order_kind == ORDER_PULL && copy->purpose != PULL_FETCH &&
                     copy->state == COPY_NONE;
        bool digests = !copy->bad && !copy_is_good(s, copy) &&
                       (copy->order_kind == ORDER_VERIFY || copy->state == COPY_ADOPTED ||
                        copy->state == COPY_SEALED);
        if (copy->member != NONE && !copy->cached && (pulled ? pulls : digests)) {
            return copy;
        }
    }
    return NULL;
}

/* A node that has a copy, and is away or has not told all yet; NULL: none. */
static const char *away_node(const struct coordinator *c, const struct shard *s)
{
    assert(s->used);
    for (uint32_t i = 0; i < CKPT_COPIES_MAX; i++) {
        const struct home *home = s->homes[i] != NONE ? &c->homes[s->homes[i]] : NULL;
        if (home != NULL && !coordinator_home_is_heard(c, home)) {
            return home->node;
        }
    }
    return NULL;
}

/* Why not as many copies are on their way as are wanted; WAIT_ORDER: nothing is in the way. */
static struct coordinator_wait_view hindrance(const struct coordinator *c, const struct shard *s,
                                              const struct holders *h)
{
    assert(h->taken_count + h->avoid_count <= COORDINATOR_COPIES_MAX);
    assert(s->used);
    struct coordinator_wait_view view = {.wait = WAIT_ORDER, .node = "", .from = ""};
    bool is_committed = checkpoint_is_committed(&c->checkpoints[s->checkpoint]);
    const char *away = is_committed ? away_node(c, s) : NULL;
    uint32_t member;
    if (away != NULL && (h->taken_count == 0 || !coordinator_repair_is_due(c, s, h))) {
        view.wait = WAIT_RETURN;
        view.node = away;
    } else if (h->taken_count == 0) {
        view.wait = WAIT_SOURCE;
    } else if (h->taken_count < COORDINATOR_COPIES_MAX) {
        enum ckpt_status status = coordinator_place_choose(c, s, h, &member);
        view.wait = status == CKPT_ERR_NO_DOMAIN ? WAIT_DOMAIN
                    : status == CKPT_ERR_FULL    ? WAIT_ROOM
                                                 : WAIT_ORDER;
    }
    return view;
}

static struct coordinator_wait_view wait_of(const struct coordinator *c, const struct shard *s)
{
    assert(s->used);
    struct coordinator_wait_view view = {.wait = WAIT_ORDER, .node = "", .from = ""};
    struct holders h;
    if (coordinator_redundancy_next(c, s, &h) == REDUNDANCY_SHORT) {
        view = hindrance(c, s, &h);
    }
    const struct copy *pulled = coming(s, true);
    const struct copy *copy = pulled != NULL ? pulled : coming(s, false);
    if (view.wait == WAIT_ORDER && copy != NULL) {
        view.wait = pulled != NULL ? WAIT_PULL : WAIT_DIGEST;
        view.node = node_of(c, copy->member);
        view.from = pulled != NULL ? node_of(c, copy->source.member) : "";
    }
    return view;
}

bool coordinator_wait_view(const struct coordinator *c, uint32_t checkpoint_index, uint32_t rank,
                           struct coordinator_wait_view *view_out)
{
    if (checkpoint_index >= c->checkpoints_high || !c->checkpoints[checkpoint_index].used ||
        rank >= c->checkpoints[checkpoint_index].world) {
        return false;
    }
    const struct checkpoint *k = &c->checkpoints[checkpoint_index];
    const struct shard *s = coordinator_shard_find(c, k, rank);
    *view_out = (struct coordinator_wait_view){.node = "", .from = ""};
    if (checkpoint_is_open(k) && (s == NULL || !s->sealed)) {
        view_out->wait = WAIT_SEAL;
        view_out->node = seat_node(c, &c->runs[k->run], rank);
    } else if (s != NULL && k->state != CHECKPOINT_ABORTED &&
               !coordinator_redundancy_is_met(c, s)) {
        *view_out = wait_of(c, s);
    }
    return true;
}
