/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/verbs/events.h"

#include "base/clock.h"
#include "transport/verbs/client.h"
#include "transport/verbs/lane.h"
#include "transport/verbs/rail.h"
#include "transport/verbs/removal.h"
#include "transport/verbs/verbs.h"

#include <string.h>

/* More than rdma_cm carries. */
#define PRIVATE_DATA_MAX 256

/* A connection request names a new id, which has its listener's context. */
static void handle_connection(const struct rdma_cm_event *event)
{
    struct verbs_party *party = event->id->context;

    /* Each id of the device has this event; the listener has it in any case. */
    if (event->event == RDMA_CM_EVENT_DEVICE_REMOVAL && party->kind == VERBS_LISTENER) {
        verbs_rail_mark_removed((struct verbs_rail *)(void *)party, "removed");
        return;
    }
    switch (party->kind) {
    case VERBS_LISTENER:
        if (event->event == RDMA_CM_EVENT_CONNECT_REQUEST) {
            verbs_client_ask((struct verbs_rail *)(void *)party, event->id, event);
        }
        break;
    case VERBS_LANE:
        verbs_lane_event((struct verbs_lane *)(void *)party, event);
        break;
    case VERBS_NOBODY:
        break;
    case VERBS_CLIENT:
        if (event->event != RDMA_CM_EVENT_ESTABLISHED &&
            event->event != RDMA_CM_EVENT_ADDR_CHANGE) {
            struct verbs_client *client = (struct verbs_client *)(void *)party;
            client->gone = true;
            client->rail->verbs->attention = true;
        }
        break;
    }
}

/* An event must be given back before its id is destroyed, so a copy is handled. */
static void look_at_connections(struct verbs *v)
{
    struct rdma_cm_event *event;
    uint8_t private_data[PRIVATE_DATA_MAX];

    while (rdma_get_cm_event(v->events, &event) == 0) {
        struct rdma_cm_event copy = *event;
        if (copy.param.conn.private_data != NULL) {
            memcpy(private_data, copy.param.conn.private_data, copy.param.conn.private_data_len);
            copy.param.conn.private_data = private_data;
        }
        rdma_ack_cm_event(event);
        handle_connection(&copy);
    }
}

static void handle_pair_error(struct ibv_qp *qp)
{
    struct verbs_party *party = qp->qp_context;

    if (party->kind == VERBS_LANE) {
        verbs_lane_fail((struct verbs_lane *)(void *)party, true);
    } else if (party->kind == VERBS_CLIENT) {
        struct verbs_client *client = (struct verbs_client *)(void *)party;
        client->gone = true;
        client->rail->verbs->attention = true;
    }
}

static void look_at_device(struct verbs_rail *rail)
{
    struct ibv_async_event event;

    while (ibv_get_async_event(rail->context, &event) == 0) {
        enum ibv_event_type type = event.event_type;
        struct ibv_qp *qp = event.element.qp;
        int port = event.element.port_num;
        /* A queue pair cannot be destroyed before its events are given back. */
        ibv_ack_async_event(&event);
        if ((type == IBV_EVENT_PORT_ACTIVE || type == IBV_EVENT_PORT_ERR) && port == rail->port) {
            rail->stirred_ns = clock_now_ns(); /* it may be as it was by now */
            verbs_rail_look(rail);
        } else if (type == IBV_EVENT_QP_FATAL || type == IBV_EVENT_QP_ACCESS_ERR ||
                   type == IBV_EVENT_QP_REQ_ERR) {
            handle_pair_error(qp);
        } else if (type == IBV_EVENT_DEVICE_FATAL) {
            verbs_rail_mark_removed(rail, "fatal");
        }
    }
}

static void drain_channel(struct verbs_rail *rail)
{
    struct ibv_cq *cq;
    void *context;

    while (ibv_get_cq_event(rail->channel, &cq, &context) == 0) {
        ibv_ack_cq_events(cq, 1);
    }
}

void verbs_look(struct verbs *v)
{
    look_at_connections(v);
    for (uint32_t i = 0; i < v->rails_count; i++) {
        if (!v->rails[i].removed) {
            look_at_device(&v->rails[i]);
            drain_channel(&v->rails[i]);
        }
    }
}
