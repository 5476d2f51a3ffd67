/* SPDX-License-Identifier: Apache-2.0 */
/* The source's end of peers' lanes: queue pairs that may be read through, and nothing else. */
#include "transport/verbs/client.h"
#include "transport/verbs/farewell.h"
#include "transport/verbs/pair.h"
#include "transport/verbs/verbs.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static void let_go(struct verbs_client *client)
{
    if (client->qp != NULL) {
        verbs_pair_fail(client->qp);
        ibv_destroy_qp(client->qp);
    }
    verbs_id_forget(client->rail, client->id);
    free(client);
}

/* Compares all bytes, however early they differ. */
static bool knows_secret(const struct verbs *v, const struct hello *hello)
{
    uint8_t difference = 0;

    for (size_t i = 0; i < CARD_SECRET_BYTES; i++) {
        difference |= (uint8_t)(v->secret[i] ^ hello->secret[i]);
    }
    return difference == 0;
}

static enum ckpt_status welcome(struct verbs_client *client, const struct hello *hello)
{
    struct verbs_rail *rail = client->rail;
    int depth = rail->device.max_qp_rd_atom;
    uint8_t bytes[WELCOME_BYTES];
    struct welcome answer = {.source = rail->verbs->id,
                             .mtu =
                                 hello->mtu < (uint8_t)rail->mtu ? hello->mtu : (uint8_t)rail->mtu,
                             .depth = (uint8_t)(depth < 1           ? 1
                                                : depth > UINT8_MAX ? UINT8_MAX
                                                                    : depth)};
    struct rdma_conn_param parameters = {.private_data = bytes,
                                         .private_data_len = sizeof(bytes),
                                         .responder_resources = RDMA_MAX_RESP_RES,
                                         .initiator_depth = 1};
    enum ckpt_status status = verbs_pair_create(rail, &client->party, 1, &client->qp);

    if (status == CKPT_OK) {
        status = verbs_pair_init(client->id, client->qp, true);
    }
    if (status == CKPT_OK) {
        status = verbs_pair_ready(rail, client->id, client->qp, answer.mtu, 1, answer.depth);
    }
    if (status != CKPT_OK) {
        return status;
    }
    welcome_encode(&answer, bytes);
    parameters.qp_num = client->qp->qp_num;
    return rdma_accept(client->id, &parameters) == 0 ? CKPT_OK : CKPT_ERR_LINK;
}

static enum ckpt_status check(const struct verbs *v, const struct rdma_cm_event *event,
                              struct hello *hello_out)
{
    enum ckpt_status status =
        hello_decode(event->param.conn.private_data, event->param.conn.private_data_len, hello_out);

    if (status == CKPT_OK && (hello_out->target != v->id || !knows_secret(v, hello_out))) {
        status = CKPT_ERR_DENIED;
    }
    if (status == CKPT_OK && (hello_out->mtu < IBV_MTU_256 || hello_out->mtu > IBV_MTU_4096)) {
        status = CKPT_ERR_PROTOCOL;
    }
    if (status == CKPT_OK && v->clients_count == VERBS_CLIENTS_MAX) {
        status = CKPT_ERR_FULL;
    }
    return status;
}

void verbs_client_ask(struct verbs_rail *rail, struct rdma_cm_id *id,
                      const struct rdma_cm_event *event)
{
    struct verbs *v = rail->verbs;
    struct verbs_client *client;
    struct hello hello;
    enum ckpt_status status = check(v, event, &hello);

    client = status == CKPT_OK ? calloc(1, sizeof(*client)) : NULL;
    if (client == NULL) {
        log_event(EVENT_verbs_client_refused, "rail=%s reason=%s", rail->name,
                  status == CKPT_OK ? "memory" : ckpt_status_name(status));
        rdma_reject(id, NULL, 0);
        rdma_destroy_id(id);
        return;
    }
    *client =
        (struct verbs_client){.party = {VERBS_CLIENT}, .rail = rail, .id = id, .next = v->clients};
    id->context = &client->party;
    v->clients = client;
    v->clients_count++;
    status = welcome(client, &hello);
    if (status != CKPT_OK) {
        log_event(EVENT_verbs_client_failed, "rail=%s reason=%s", rail->name,
                  ckpt_status_name(status));
        rdma_reject(id, NULL, 0);
        client->gone = true;
        v->attention = true;
    }
}

void verbs_clients_tend(struct verbs *v)
{
    struct verbs_client **link = &v->clients;

    while (*link != NULL) {
        struct verbs_client *client = *link;
        if (client->gone) {
            *link = client->next;
            v->clients_count--;
            let_go(client);
        } else {
            link = &client->next;
        }
    }
}

void verbs_clients_leave(struct verbs_rail *rail)
{
    for (struct verbs_client *client = rail->verbs->clients; client != NULL;
         client = client->next) {
        client->gone |= client->rail == rail;
    }
    verbs_clients_tend(rail->verbs);
}

/* Cuts all readers off. */
void verbs_clients_fail(struct verbs *v)
{
    for (struct verbs_client *client = v->clients; client != NULL; client = client->next) {
        client->gone = true;
    }
    verbs_clients_tend(v);
}
