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

static bool is_peer_alive(const struct verbs_endpoint *endpoint)
{
    for (uint32_t i = 0; i < endpoint->lanes_count; i++) {
        if (endpoint->lanes[i].state == VERBS_LANE_UP) {
            return true;
        }
    }
    return false;
}

/* Notes the rails by which a peer is not reached that others reach. */
static void look_at_lanes(struct verbs_endpoint *endpoint, uint64_t now_ns,
                          bool lost[VERBS_RAILS_MAX])
{
    bool alive = endpoint->failure == CKPT_OK && is_peer_alive(endpoint);

    for (uint32_t i = 0; i < endpoint->lanes_count; i++) {
        struct verbs_lane *lane = &endpoint->lanes[i];
        if (!alive || !lane->rail->up || lane->state == VERBS_LANE_UP) {
            lane->down_ns = 0;
        } else if (lane->down_ns == 0) {
            lane->down_ns = now_ns;
        } else if (now_ns - lane->down_ns >= SILENT_NS) {
            lost[lane->rail->index] = true;
        }
    }
}

void verbs_rails_watch(struct verbs *v, uint64_t now_ns)
{
    bool lost[VERBS_RAILS_MAX] = {false};

    if (now_ns - v->watched_ns < WATCH_NS) {
        return;
    }
    v->watched_ns = now_ns;
    for (struct transport_endpoint *e = v->reads.endpoints; e != NULL; e = e->next) {
        look_at_lanes(as_verbs_endpoint(e), now_ns, lost);
    }
    for (uint32_t i = 0; i < v->rails_count; i++) {
        struct verbs_rail *rail = &v->rails[i];
        if (rail->removed) {
            continue;
        }
        if (!rail->up) {
            /* The event that it is up again may be missing, or have come before the port was. */
            (void)verbs_rail_look(rail);
        } else if (lost[i]) {
            say_silent(rail, "none of its connections to a peer comes up, those of others do");
        } else {
            rail->silent = false;
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
