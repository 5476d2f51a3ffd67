/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/verbs/endpoint.h"
#include "transport/verbs/lane.h"
#include "transport/verbs/reader.h"
#include "transport/verbs/removal.h"
#include "transport/verbs/verbs.h"

#include <stdlib.h>

#include "base/log.h"
#include "transport/verbs/watch.h"

static void add_lane(struct verbs_endpoint *endpoint, struct verbs_rail *rail, bool first)
{
    uint32_t peer_rail;

    if (rail->removed) {
        return;
    }
    if (first) {
        verbs_rail_check(rail);
    }
    if (card_choose(&endpoint->card, rail->card.gid, rail->index, &peer_rail)) {
        endpoint->lanes[endpoint->lanes_count++] =
            (struct verbs_lane){.party = {VERBS_LANE},
                                .endpoint = endpoint,
                                .rail = rail,
                                .peer_rail = peer_rail,
                                .pause_ns = VERBS_PAUSE_MIN_NS};
    } else if (first) {
        log_event(
            EVENT_verbs_no_way, "rail=%s hint=%s", rail->name,
            LOG_QUOTED("this rail and all of the peer's have addresses of different families: "
                       "give the network interfaces of all rails IPv4 addresses, or none"));
    }
}

/* All first lanes before all second ones, so that a short endpoint list still has every rail. */
static void add_lanes(struct verbs *v, struct verbs_endpoint *endpoint)
{
    for (uint32_t lane = 0; lane < VERBS_LANES_PER_RAIL; lane++) {
        for (uint32_t i = 0; i < v->rails_count; i++) {
            add_lane(endpoint, &v->rails[i], lane == 0);
        }
    }
}

enum ckpt_status verbs_connect(struct transport *t, const uint8_t *address, size_t address_bytes,
                               struct transport_endpoint **endpoint_out)
{
    struct verbs *v = as_verbs(t);
    struct verbs_endpoint *endpoint;
    struct label label;
    struct card card;
    enum ckpt_status status =
        label_decode(address, address_bytes, LABEL_ADDRESS, LABEL_VERBS, &label);

    if (status == CKPT_OK) {
        status = card_decode(label.payload, label.payload_bytes, &card);
    }
    if (status != CKPT_OK) {
        return status;
    }
    endpoint = calloc(1, sizeof(*endpoint));
    if (endpoint == NULL) {
        return CKPT_ERR_MEMORY;
    }
    endpoint->base.transport = t;
    endpoint->card = card;
    endpoint->peer = label.transport;
    add_lanes(v, endpoint);
    if (endpoint->lanes_count == 0) {
        if (verbs_rails_left(v) == 0) {
            log_event(EVENT_verbs_no_rail, "hint=%s",
                      LOG_QUOTED("the devices of all rails are gone: bring one back and start this "
                                 "process again"));
        }
        free(endpoint);
        return CKPT_ERR_LINK;
    }
    reads_add_endpoint(&v->reads, &endpoint->base);
    v->attention = true;
    *endpoint_out = &endpoint->base;
    return CKPT_OK;
}

void verbs_endpoint_fail(struct verbs_endpoint *endpoint, enum ckpt_status status)
{
    if (endpoint->failure == CKPT_OK) {
        endpoint->failure = status;
        verbs_endpoint_reads_fail(endpoint, status);
    }
    as_verbs(endpoint->base.transport)->attention = true;
}

void verbs_disconnect(struct transport_endpoint *base)
{
    verbs_endpoint_fail(as_verbs_endpoint(base), CKPT_ERR_LINK);
}

/* The peer said no on some rail, and no other rail may still say yes. */
static bool is_refused(const struct verbs_endpoint *endpoint)
{
    bool refused = false;

    for (uint32_t i = 0; i < endpoint->lanes_count; i++) {
        const struct verbs_lane *lane = &endpoint->lanes[i];
        if (lane->state != VERBS_LANE_IDLE) {
            return false;
        }
        refused |= lane->refused;
    }
    return refused;
}

static bool has_rail(const struct verbs_endpoint *endpoint)
{
    for (uint32_t i = 0; i < endpoint->lanes_count; i++) {
        if (!endpoint->lanes[i].rail->removed) {
            return true;
        }
    }
    return false;
}

static bool is_closed(const struct verbs_endpoint *endpoint)
{
    for (uint32_t i = 0; i < endpoint->lanes_count; i++) {
        if (endpoint->lanes[i].state != VERBS_LANE_IDLE) {
            return false;
        }
    }
    return endpoint->base.reads_in_flight == 0;
}

void verbs_endpoints_tend(struct verbs *v, uint64_t now_ns)
{
    v->timer_ns = UINT64_MAX;
    for (struct transport_endpoint *base = v->reads.endpoints; base != NULL; base = base->next) {
        struct verbs_endpoint *endpoint = as_verbs_endpoint(base);
        if (base->gone) {
            continue;
        }
        if (endpoint->failure == CKPT_OK && (is_refused(endpoint) || !has_rail(endpoint))) {
            verbs_endpoint_fail(endpoint, CKPT_ERR_LINK);
        }
        for (uint32_t i = 0; i < endpoint->lanes_count; i++) {
            verbs_lane_tend(&endpoint->lanes[i], now_ns);
        }
        if (base->disconnecting && is_closed(endpoint)) {
            reads_report_gone(&v->reads, base);
        }
    }
}

void verbs_endpoint_release(struct transport_endpoint *base)
{
    struct verbs_endpoint *endpoint = as_verbs_endpoint(base);

    for (uint32_t i = 0; i < endpoint->lanes_count; i++) {
        verbs_lane_close(&endpoint->lanes[i]);
    }
    free(endpoint);
}
