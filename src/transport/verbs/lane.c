/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's end of a connection: IDLE, ADDRESS, ROUTE, CONNECTING, UP, DRAINING, IDLE... */
#include "transport/verbs/lane.h"
#include "transport/verbs/farewell.h"
#include "transport/verbs/pair.h"
#include "transport/verbs/reader.h"
#include "transport/verbs/verbs.h"

#include <netinet/in.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define RESOLVE_MS 2000

/* Reasons of a rejection (IBTA 12.6.7.2) that are the peer's word: nobody listens there, or its
 * transport refused. Others, as that of a queue pair number still in use, pass. */
#define REJECT_NO_SERVICE 8
#define REJECT_CONSUMER 28

static struct verbs *verbs_of(const struct verbs_lane *lane)
{
    return lane->rail->verbs;
}

static void want_attention(struct verbs_lane *lane)
{
    verbs_of(lane)->attention = true;
}

static void forget_id(struct verbs_lane *lane)
{
    if (lane->id != NULL) {
        verbs_id_forget(lane->rail, lane->id);
        lane->id = NULL;
    }
}

/* Frees what the lane holds. Once its queue pair is destroyed
 * nothing is written for it any more. */
static void let_go(struct verbs_lane *lane)
{
    if (lane->qp != NULL) {
        ibv_destroy_qp(lane->qp);
        lane->qp = NULL;
        verbs_lane_reclaim(lane);
    }
    forget_id(lane);
    lane->state = VERBS_LANE_IDLE;
    want_attention(lane);
}

void verbs_lane_fail(struct verbs_lane *lane, bool pause)
{
    uint64_t now = clock_now_ns();

    if (lane->state == VERBS_LANE_IDLE || lane->state == VERBS_LANE_DRAINING) {
        return;
    }
    lane->retry_ns = now;
    if (pause) {
        lane->retry_ns = now + lane->pause_ns;
        lane->pause_ns =
            2 * lane->pause_ns < VERBS_PAUSE_MAX_NS ? 2 * lane->pause_ns : VERBS_PAUSE_MAX_NS;
    }
    if (lane->qp != NULL && lane->works != 0) {
        verbs_pair_fail(lane->qp);
        lane->state = VERBS_LANE_DRAINING;
        lane->drain_ns = now + VERBS_DRAIN_NS;
    } else {
        let_go(lane);
    }
    want_attention(lane);
}

void verbs_lane_close(struct verbs_lane *lane)
{
    let_go(lane);
}

static void begin(struct verbs_lane *lane, uint64_t now_ns)
{
    const struct card_rail *peer = &lane->endpoint->card.rails[lane->peer_rail];
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(peer->port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(peer->port)};
    struct sockaddr *to = (struct sockaddr *)&six;

    lane->refused = false;
    lane->state = VERBS_LANE_ADDRESS;
    lane->retry_ns = now_ns + verbs_of(lane)->reads.timeout_ns;
    if (card_is_ipv4(peer->gid)) {
        memcpy(&four.sin_addr, peer->gid + 12, 4);
        to = (struct sockaddr *)&four;
    } else {
        memcpy(&six.sin6_addr, peer->gid, 16);
    }
    if (rdma_create_id(verbs_of(lane)->events, &lane->id, &lane->party, RDMA_PS_TCP) != 0) {
        lane->id = NULL;
        verbs_lane_fail(lane, true);
    } else if (rdma_resolve_addr(lane->id, (struct sockaddr *)&lane->rail->address, to,
                                 RESOLVE_MS) != 0) {
        log_event(EVENT_verbs_lane_failed, "rail=%s step=address error=\"%m\"", lane->rail->name);
        verbs_lane_fail(lane, true);
    }
}

static enum ckpt_status ask(struct verbs_lane *lane)
{
    struct verbs *v = verbs_of(lane);
    struct hello hello = {
        .target = lane->endpoint->peer, .reader = v->id, .mtu = (uint8_t)lane->rail->mtu};
    uint8_t bytes[HELLO_BYTES];
    struct rdma_conn_param parameters = {.private_data = bytes,
                                         .private_data_len = sizeof(bytes),
                                         .responder_resources = 1,
                                         .initiator_depth = RDMA_MAX_INIT_DEPTH,
                                         .retry_count = VERBS_RETRIES};
    enum ckpt_status status =
        verbs_pair_create(lane->rail, &lane->party, VERBS_LANE_WORKS_MAX, &lane->qp);

    if (status == CKPT_OK) {
        status = verbs_pair_init(lane->id, lane->qp, false);
    }
    if (status != CKPT_OK) {
        return status;
    }
    memcpy(hello.secret, lane->endpoint->card.secret, CARD_SECRET_BYTES);
    hello_encode(&hello, bytes);
    parameters.qp_num = lane->qp->qp_num;
    return rdma_connect(lane->id, &parameters) == 0 ? CKPT_OK : CKPT_ERR_LINK;
}

static uint8_t lesser(int a, int b)
{
    int least = a < b ? a : b;

    return (uint8_t)(least < 1 ? 1 : least > UINT8_MAX ? UINT8_MAX : least);
}

static enum ckpt_status establish(struct verbs_lane *lane, const struct rdma_cm_event *event)
{
    struct welcome welcome;
    enum ckpt_status status = welcome_decode(event->param.conn.private_data,
                                             event->param.conn.private_data_len, &welcome);

    if (status != CKPT_OK) {
        return status;
    }
    if (welcome.source != lane->endpoint->peer || welcome.mtu < IBV_MTU_256 ||
        welcome.mtu > (uint8_t)lane->rail->mtu) {
        return CKPT_ERR_PROTOCOL;
    }
    status = verbs_pair_ready(lane->rail, lane->id, lane->qp, welcome.mtu,
                              lesser(lane->rail->device.max_qp_init_rd_atom, welcome.depth), 0);
    if (status == CKPT_OK && rdma_establish(lane->id) != 0) {
        status = CKPT_ERR_LINK;
    }
    if (status == CKPT_OK) {
        log_event(EVENT_verbs_lane_up, "rail=%s mtu=%u", lane->rail->name, 128U << welcome.mtu);
        lane->state = VERBS_LANE_UP;
        lane->endpoint->base.heard_ns = clock_now_ns();
        verbs_of(lane)->issue = true;
    }
    return status;
}

static enum ckpt_status advance(struct verbs_lane *lane, const struct rdma_cm_event *event)
{
    if (event->event == RDMA_CM_EVENT_ADDR_RESOLVED && lane->state == VERBS_LANE_ADDRESS) {
        lane->state = VERBS_LANE_ROUTE;
        return rdma_resolve_route(lane->id, RESOLVE_MS) == 0 ? CKPT_OK : CKPT_ERR_LINK;
    }
    if (event->event == RDMA_CM_EVENT_ROUTE_RESOLVED && lane->state == VERBS_LANE_ROUTE) {
        lane->state = VERBS_LANE_CONNECTING;
        return ask(lane);
    }
    if (event->event == RDMA_CM_EVENT_CONNECT_RESPONSE && lane->state == VERBS_LANE_CONNECTING) {
        return establish(lane, event);
    }
    if (event->event == RDMA_CM_EVENT_ADDR_CHANGE) {
        return CKPT_OK;
    }
    lane->refused = event->event == RDMA_CM_EVENT_REJECTED &&
                    (event->status == REJECT_NO_SERVICE || event->status == REJECT_CONSUMER);
    return CKPT_ERR_LINK;
}

void verbs_lane_event(struct verbs_lane *lane, const struct rdma_cm_event *event)
{
    if (lane->state == VERBS_LANE_IDLE || lane->state == VERBS_LANE_DRAINING) {
        return;
    }
    if (advance(lane, event) != CKPT_OK) {
        log_event(EVENT_verbs_lane_failed, "rail=%s cm_event=%s cm_status=%d", lane->rail->name,
                  rdma_event_str(event->event), event->status);
        verbs_lane_fail(lane, event->event != RDMA_CM_EVENT_DISCONNECTED);
    }
}

/* Takes a lane as far as it can go without an event. */
void verbs_lane_tend(struct verbs_lane *lane, uint64_t now_ns)
{
    struct verbs *v = verbs_of(lane);
    bool wanted = lane->endpoint->failure == CKPT_OK;
    bool usable = wanted && lane->rail->up;

    if (lane->state == VERBS_LANE_DRAINING && (lane->works == 0 || now_ns >= lane->drain_ns)) {
        let_go(lane);
    }
    if (lane->state != VERBS_LANE_IDLE && lane->state != VERBS_LANE_UP &&
        lane->state != VERBS_LANE_DRAINING && now_ns >= lane->retry_ns) {
        verbs_lane_fail(lane, true);
    }
    if (!usable && lane->state != VERBS_LANE_IDLE) {
        verbs_lane_fail(lane, false);
    }
    if (usable && lane->state == VERBS_LANE_IDLE && now_ns >= lane->retry_ns) {
        begin(lane, now_ns);
    }
    if (usable && lane->state != VERBS_LANE_UP && lane->state != VERBS_LANE_DRAINING &&
        lane->retry_ns < v->timer_ns) {
        v->timer_ns = lane->retry_ns;
    }
    if (lane->state == VERBS_LANE_DRAINING && lane->drain_ns < v->timer_ns) {
        v->timer_ns = lane->drain_ns;
    }
}
