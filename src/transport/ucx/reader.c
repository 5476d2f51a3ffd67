/* SPDX-License-Identifier: Apache-2.0 */
/* The side that pulls: endpoints, requests, and the handlers of what comes back. */
#include "transport/ucx/reader.h"

#include "transport/ucx/configure.h"
#include "transport/ucx/ucx.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/stream_copy.h"

static void on_error(void *argument, ucp_ep_h ep, ucs_status_t status)
{
    struct ucx_endpoint *endpoint = argument;

    (void)ep;
    if (endpoint->failure == CKPT_OK) {
        endpoint->failure = ucx_status(status);
    }
    as_ucx(endpoint->base.transport)->attention = true;
}

enum ckpt_status ucx_connect(struct transport *t, const uint8_t *address, size_t address_bytes,
                             struct transport_endpoint **endpoint_out)
{
    struct ucx *u = as_ucx(t);
    struct ucx_endpoint *endpoint;
    struct label label;
    struct hosts hosts;
    struct sockaddr_storage peer;
    ucp_ep_params_t parameters = {
        .field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR |
                      UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER,
        .flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER,
        .sockaddr.addr = (const struct sockaddr *)&peer,
        .err_mode = UCP_ERR_HANDLING_MODE_PEER,
        .err_handler.cb = on_error,
    };
    enum ckpt_status status =
        label_decode(address, address_bytes, LABEL_ADDRESS, LABEL_UCX, &label);

    if (status == CKPT_OK) {
        status = hosts_decode(label.payload, label.payload_bytes, &hosts);
    }
    if (status != CKPT_OK) {
        return status;
    }
    parameters.sockaddr.addrlen = hosts_choose(&hosts, &u->hosts, &peer);
    if (parameters.sockaddr.addrlen == 0) {
        return CKPT_ERR_LINK;
    }
    endpoint = calloc(1, sizeof(*endpoint));
    if (endpoint == NULL) {
        return CKPT_ERR_MEMORY;
    }
    endpoint->base.transport = t;
    endpoint->peer = label.transport;
    parameters.err_handler.arg = endpoint;
    if (ucp_ep_create(u->worker, &parameters, &endpoint->ep) != UCS_OK) {
        free(endpoint);
        return CKPT_ERR_LINK;
    }
    reads_add_endpoint(&u->reads, &endpoint->base);
    *endpoint_out = &endpoint->base;
    return CKPT_OK;
}

void ucx_endpoint_fail(struct ucx_endpoint *endpoint, enum ckpt_status status)
{
    if (endpoint->failure == CKPT_OK) {
        endpoint->failure = status;
    }
    as_ucx(endpoint->base.transport)->attention = true;
}

void ucx_disconnect(struct transport_endpoint *base)
{
    ucx_endpoint_fail((struct ucx_endpoint *)(void *)base, CKPT_ERR_LINK);
}

void ucx_read_settle(struct ucx *u, struct ucx_read *read, enum ckpt_status status)
{
    if (!read->settled) {
        read->settled = true;
        read->result = status;
    }
    if (!read->sending) {
        read->request.token = 0;
        reads_finish(&u->reads, &read->slot, read->result);
    }
}

static void on_request_sent(void *request, ucs_status_t status, void *argument)
{
    struct ucx_read *read = argument;

    read->sending = false;
    if (status != UCS_OK || read->settled) {
        ucx_read_settle(as_ucx(read->slot.endpoint->transport), read, ucx_status(status));
    }
    ucp_request_free(request);
}

static enum ckpt_status send_request(struct ucx_endpoint *endpoint, struct ucx_read *read)
{
    ucp_request_param_t parameters = {.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK |
                                                      UCP_OP_ATTR_FIELD_USER_DATA |
                                                      UCP_OP_ATTR_FIELD_FLAGS,
                                      .flags = UCP_AM_SEND_FLAG_EAGER | UCP_AM_SEND_FLAG_REPLY,
                                      .cb.send = on_request_sent,
                                      .user_data = read};
    void *request = ucp_am_send_nbx(endpoint->ep, UCX_REQUEST, &read->request,
                                    sizeof(read->request), NULL, 0, &parameters);

    if (UCS_PTR_IS_ERR(request)) {
        return ucx_status(UCS_PTR_STATUS(request));
    }
    read->sending = request != NULL;
    return CKPT_OK;
}

enum ckpt_status ucx_start_read(const struct transport_read_request *request)
{
    struct ucx *u = as_ucx(request->endpoint->transport);
    struct ucx_endpoint *endpoint = (struct ucx_endpoint *)(void *)request->endpoint;
    struct ucx_read *read;
    struct label label;
    enum ckpt_status status = label_decode(request->descriptor, request->descriptor_bytes,
                                           LABEL_REGION, LABEL_UCX, &label);

    if (status != CKPT_OK) {
        return status;
    }
    if (request->remote_offset > label.bytes ||
        request->bytes > label.bytes - request->remote_offset) {
        return CKPT_ERR_SIZE;
    }
    if (endpoint->failure != CKPT_OK) {
        return CKPT_ERR_LINK;
    }
    read = (struct ucx_read *)(void *)reads_begin(&u->reads, request);
    if (read == NULL) {
        return CKPT_ERR_FULL;
    }
    read->request = (struct ucx_request){
        .token = ++u->last_token != 0 ? u->last_token : ++u->last_token,
        /* The peer has no region 0: a descriptor of another transport is stale by definition. */
        .region = label.transport == endpoint->peer ? label.region : 0,
        .generation = label.generation,
        .offset = request->remote_offset,
        .bytes = request->bytes,
        .index = read->slot.index};
    read->target = request->local->address + request->local_offset;
    read->received = 0;
    read->sending = read->settled = read->ended = false;
    status = send_request(endpoint, read);
    if (status != CKPT_OK) {
        read->request.token = 0;
        reads_abandon(&u->reads, &read->slot);
    }
    return status;
}

/* The read that a reply is for; NULL when it is no longer, or never was. */
static struct ucx_read *find_read(struct ucx *u, const void *header, size_t header_bytes,
                                  struct ucx_reply *reply_out)
{
    struct ucx_read *read;

    if (header_bytes != sizeof(*reply_out)) {
        return NULL;
    }
    memcpy(reply_out, header, sizeof(*reply_out));
    if (reply_out->index >= u->reads.count || reply_out->token == 0) {
        return NULL;
    }
    read = (struct ucx_read *)(void *)(u->reads.records + reply_out->index * u->reads.record_bytes);
    return read->request.token == reply_out->token && !read->settled ? read : NULL;
}

static ucs_status_t on_data(void *argument, const void *header, size_t header_bytes, void *data,
                            size_t bytes, const ucp_am_recv_param_t *parameters)
{
    struct ucx *u = argument;
    struct ucx_reply reply;
    struct ucx_read *read = find_read(u, header, header_bytes, &reply);

    if (read == NULL) {
        return UCS_OK;
    }
    if ((parameters->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0 ||
        reply.offset > read->request.bytes || bytes > read->request.bytes - reply.offset) {
        ucx_read_settle(u, read, CKPT_ERR_PROTOCOL);
        return UCS_OK;
    }
    stream_copy(read->target + reply.offset, data, bytes);
    read->received += bytes;
    read->slot.endpoint->heard_ns = clock_now_ns();
    if (read->ended && read->received >= read->request.bytes) {
        ucx_read_settle(u, read, CKPT_OK);
    }
    return UCS_OK;
}

static enum ckpt_status end_status(uint32_t number)
{
    if (number == (uint32_t)CKPT_OK || number == (uint32_t)CKPT_ERR_STALE ||
        number == (uint32_t)CKPT_ERR_SIZE) {
        return (enum ckpt_status)number;
    }
    return CKPT_ERR_PROTOCOL;
}

/* UCX may use another lane for small messages than for large: the END may be here before the last
 * bytes. */
static ucs_status_t on_end(void *argument, const void *header, size_t header_bytes, void *data,
                           size_t bytes, const ucp_am_recv_param_t *parameters)
{
    struct ucx *u = argument;
    struct ucx_reply reply;
    struct ucx_read *read = find_read(u, header, header_bytes, &reply);

    (void)data, (void)bytes, (void)parameters;
    if (read != NULL) {
        read->slot.endpoint->heard_ns = clock_now_ns();
        read->ended = true;
        if (reply.status != (uint32_t)CKPT_OK || read->received >= read->request.bytes) {
            ucx_read_settle(u, read, end_status(reply.status));
        }
    }
    return UCS_OK;
}

enum ckpt_status ucx_reader_open(struct ucx *u)
{
    ucp_am_handler_param_t data = {.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID |
                                                 UCP_AM_HANDLER_PARAM_FIELD_CB |
                                                 UCP_AM_HANDLER_PARAM_FIELD_ARG,
                                   .id = UCX_DATA,
                                   .cb = on_data,
                                   .arg = u};
    ucp_am_handler_param_t end = data;

    end.id = UCX_END;
    end.cb = on_end;
    if (ucp_worker_set_am_recv_handler(u->worker, &data) != UCS_OK ||
        ucp_worker_set_am_recv_handler(u->worker, &end) != UCS_OK) {
        return CKPT_ERR_MEMORY;
    }
    return CKPT_OK;
}

/* Gives the UCX endpoint up at once; its sends come back with
 * an error in the next progress calls. */
static void force_close(struct ucx_endpoint *endpoint)
{
    ucp_request_param_t parameters = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                      .flags = UCP_EP_CLOSE_FLAG_FORCE};
    void *request;

    request = ucp_ep_close_nbx(endpoint->ep, &parameters);
    if (UCS_PTR_IS_PTR(request)) {
        ucp_request_free(request);
    }
    endpoint->ep = NULL;
}

/* Closes what has failed, ends its reads, and reports what is gone. Outside of UCX's callbacks
 * only. */
void ucx_endpoints_tend(struct ucx *u)
{
    for (struct transport_endpoint *base = u->reads.endpoints; base != NULL; base = base->next) {
        struct ucx_endpoint *endpoint = (struct ucx_endpoint *)(void *)base;
        if (endpoint->failure == CKPT_OK || base->gone) {
            continue;
        }
        if (endpoint->ep != NULL) {
            struct read_slot *next;
            /* Before the close, which gives requests back as cancelled: they end for the reason. */
            for (struct read_slot *slot = u->reads.in_flight.first; slot != NULL; slot = next) {
                next = slot->next;
                if (slot->endpoint == base) {
                    ucx_read_settle(u, (struct ucx_read *)(void *)slot, endpoint->failure);
                }
            }
            force_close(endpoint);
        }
        if (base->disconnecting && base->reads_in_flight == 0) {
            reads_report_gone(&u->reads, base);
        }
    }
}

void ucx_endpoint_release(struct transport_endpoint *base)
{
    free(base);
}
