/* SPDX-License-Identifier: Apache-2.0 */
/* Rails that are down, or by which no connection comes up: looked at again, and said once. */
#include "transport/verbs/watch.h"

#include "transport/verbs/rail.h"
#include "transport/verbs/verbs.h"

#include "base/log.h"

#define WATCH_NS UINT64_C(1000000000)
#define SILENT_NS UINT64_C(10000000000) /* as the longest pause between two tries */

static void say_silent(struct verbs_rail *rail, const char *reason)
{
    if (!rail->silent) {
        log_event(EVENT_verbs_rail_silent, "rail=%s reason=%s", rail->name, LOG_QUOTED(reason));
    }
    rail->silent = true;
}

void verbs_rail_check(struct verbs_rail *rail)
{
    if (!rail->removed && !verbs_rail_look(rail)) {
        say_silent(rail, "its port is down while a peer is connected to");
    }
}

/* What the connections tell of a rail. */
struct sight {
    bool reached; /* a peer is reached by it */
    bool lost;    /* a peer that others reach is not, for longer than a new connection takes */
    bool wanted;  /* a peer that no rail reaches is to be read */
};

/* Whether the peer is reached at all, and by which rails. */
static bool find_reached(const struct verbs_endpoint *endpoint, bool reached[VERBS_RAILS_MAX])
{
    bool alive = false;

    for (uint32_t i = 0; i < endpoint->lanes_count; i++) {
        const struct verbs_lane *lane = &endpoint->lanes[i];
        if (endpoint->failure == CKPT_OK && lane->state == VERBS_LANE_UP) {
            reached[lane->rail->index] = true;
            alive = true;
        }
    }
    return alive;
}

/* A peer that no rail reaches tells little: it may be dead. */
static void look_at_lanes(struct verbs_endpoint *endpoint, uint64_t now_ns,
                          struct sight sights[VERBS_RAILS_MAX])
{
    bool reached[VERBS_RAILS_MAX] = {false};
    bool alive = find_reached(endpoint, reached);

    for (uint32_t i = 0; i < endpoint->lanes_count; i++) {
        struct verbs_lane *lane = &endpoint->lanes[i];
        uint32_t rail = lane->rail->index;
        sights[rail].reached |= reached[rail];
        sights[rail].wanted |= !alive && endpoint->base.reads_in_flight > 0;
        if (!alive || !lane->rail->up || reached[rail]) {
            lane->down_ns = 0;
        } else if (lane->down_ns == 0) {
            lane->down_ns = now_ns;
        } else if (now_ns - lane->down_ns >= SILENT_NS) {
            sights[rail].lost = true;
        }
    }
}

/* Whether reads by it have been wanted for long and no peer was reached. Each read gives up before
 * that, and the next may be asked for a while later. Who wants to read from a dead node is told to
 * stop in less (a lease): a peer that is wanted for longer lives, by the word of others. */
static bool is_unreached(struct verbs_rail *rail, struct sight sight, uint64_t now_ns)
{
    if (sight.wanted) {
        rail->wanted_ns = now_ns;
    }
    if (sight.reached || !rail->up || now_ns - rail->wanted_ns >= SILENT_NS) {
        rail->unreached_ns = 0;
    } else if (rail->unreached_ns == 0) {
        rail->unreached_ns = rail->wanted_ns;
    }
    return rail->unreached_ns != 0 && rail->wanted_ns - rail->unreached_ns >= SILENT_NS;
}

/* Without a peer to try it with, what was last known of a rail stays. */
static void look_at_rail(struct verbs_rail *rail, struct sight sight, uint64_t now_ns)
{
    bool is_alone = is_unreached(rail, sight, now_ns);

    if (!rail->up) {
        /* The event that it is up again may be missing, or have come before the port was. */
        (void)verbs_rail_look(rail);
    } else if (is_alone) {
        say_silent(rail, "its port is up, and no peer that is to be read is reached by any rail");
    } else if (sight.lost) {
        say_silent(rail, "none of its connections to a peer comes up, those of others do");
    } else if (sight.reached) {
        rail->silent = false;
    }
}

void verbs_rails_watch(struct verbs *v, uint64_t now_ns)
{
    struct sight sights[VERBS_RAILS_MAX] = {{false, false, false}};

    if (now_ns - v->watched_ns < WATCH_NS) {
        return;
    }
    v->watched_ns = now_ns;
    for (struct transport_endpoint *e = v->reads.endpoints; e != NULL; e = e->next) {
        look_at_lanes(as_verbs_endpoint(e), now_ns, sights);
    }
    for (uint32_t i = 0; i < v->rails_count; i++) {
        if (!v->rails[i].removed) {
            look_at_rail(&v->rails[i], sights[i], now_ns);
        }
    }
}

struct transport_rails verbs_rails_state(const struct transport *t)
{
    const struct verbs *v = (const struct verbs *)(const void *)t;
    struct transport_rails rails = {.total = v->rails_count};

    for (uint32_t i = 0; i < v->rails_count; i++) {
        rails.up += v->rails[i].up && !v->rails[i].silent;
    }
    return rails;
}
