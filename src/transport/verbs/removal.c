/* SPDX-License-Identifier: Apache-2.0 */
/* A device that is taken away, or that says it is broken, while the transport is open. Its driver
 * may wait until nobody holds anything of it (Soft-RoCE's does, so that "rdma link delete" stands
 * still), so all of it is given back: queue pairs, ids, memory, and the device itself. Other rails
 * go on; the rail does not come back, not with a device of the same name either: peers know its
 * address and its keys.
 *
 * Who says so: rdma_cm, by an event for each id of the device (its listener is one), and, from
 * drivers that can go under their users' feet, IBV_EVENT_DEVICE_FATAL. Soft-RoCE gives the first
 * alone. */
#include "transport/verbs/removal.h"

#include "transport/verbs/client.h"
#include "transport/verbs/farewell.h"
#include "transport/verbs/lane.h"
#include "transport/verbs/rail.h"
#include "transport/verbs/reader.h"
#include "transport/verbs/region.h"
#include "transport/verbs/verbs.h"

#include "base/clock.h"
#include "base/log.h"

void verbs_rail_mark_removed(struct verbs_rail *rail, const char *why)
{
    if (!rail->removed) {
        log_event(EVENT_verbs_device_gone, "rail=%s device=%s hint=%s", rail->name, why,
                  LOG_QUOTED("this rail is not used any more until this process is started "
                             "again with the device there"));
    }
    rail->removed = true;
    rail->up = false;
    rail->verbs->attention = true;
}

uint32_t verbs_rails_left(const struct verbs *v)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < v->rails_count; i++) {
        left += !v->rails[i].removed;
    }
    return left;
}

/* Without a drain: once a queue pair is destroyed nothing more is written for it. */
static void close_lanes(struct verbs_rail *rail)
{
    for (struct transport_endpoint *e = rail->verbs->reads.endpoints; e != NULL; e = e->next) {
        struct verbs_endpoint *endpoint = as_verbs_endpoint(e);
        for (uint32_t i = 0; i < endpoint->lanes_count; i++) {
            if (endpoint->lanes[i].rail == rail) {
                verbs_lane_close(&endpoint->lanes[i]);
                endpoint->lanes[i].refused = false;
            }
        }
    }
}

/* librdmacm has a context of its own for each device, and closes that of one that is gone when it
 * next looks what there is: which this makes it do. It does not while no other device is left; that
 * context then stays open for as long as the process. */
static void make_librdmacm_look(void)
{
    struct ibv_context **devices = rdma_get_devices(NULL);

    if (devices != NULL) {
        rdma_free_devices(devices);
    }
}

static void give_back(struct verbs_rail *rail)
{
    struct verbs *v = rail->verbs;

    close_lanes(rail);
    verbs_clients_leave(rail);
    verbs_farewells_say(rail);
    if (rail->listener != NULL) {
        rdma_destroy_id(rail->listener);
        rail->listener = NULL;
    }
    /* Others read while much memory is unpinned, and nobody hears them before it is. */
    verbs_issue(v);
    verbs_regions_leave(rail);
    verbs_rail_close(rail);
    make_librdmacm_look();
    for (struct transport_endpoint *e = v->reads.endpoints; e != NULL; e = e->next) {
        e->heard_ns = clock_now_ns();
    }
}

void verbs_removals_tend(struct verbs *v)
{
    for (uint32_t i = 0; i < v->rails_count; i++) {
        struct verbs_rail *rail = &v->rails[i];
        if (rail->removed && rail->context != NULL) {
            give_back(rail);
            log_event(EVENT_verbs_rail_closed, "rail=%s rails_left=%u", rail->name,
                      verbs_rails_left(v));
        }
    }
}
