/* SPDX-License-Identifier: Apache-2.0 */
/* The side that is read: clients, and jobs that serve their
 * requests a fragment at a time, in turn. */
#include "transport/ucx/source.h"

#include "transport/ucx/region.h"
#include "transport/ucx/ucx.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static struct ucx_client *find_client(struct ucx *u, const ucp_am_recv_param_t *parameters)
{
    struct ucx_client *client = u->clients;

    if ((parameters->recv_attr & UCP_AM_RECV_ATTR_FIELD_REPLY_EP) == 0) {
        return NULL;
    }
    while (client != NULL && client->ep != parameters->reply_ep) {
        client = client->next;
    }
    return client;
}

static void on_error(void *argument, ucp_ep_h ep, ucs_status_t status)
{
    struct ucx_client *client = argument;

    (void)ep, (void)status;
    client->failed = true;
    client->ucx->attention = true;
}

static void on_connection(ucp_conn_request_h asking, void *argument)
{
    struct ucx *u = argument;
    struct ucx_client *client = NULL;

    if (u->clients_count < UCX_CLIENTS_MAX) {
        client = calloc(1, sizeof(*client));
    }
    if (client == NULL) {
        ucp_listener_reject(u->listener, asking);
        return;
    }
    client->ucx = u;
    client->asking = asking;
    client->next = u->clients;
    u->clients = client;
    u->clients_count++;
    u->attention = true;
}

static void append_job(struct ucx *u, struct ucx_job *job)
{
    job->next = NULL;
    if (u->jobs_last != NULL) {
        u->jobs_last->next = job;
    } else {
        u->jobs = job;
    }
    u->jobs_last = job;
}

static ucs_status_t on_request(void *argument, const void *header, size_t header_bytes, void *data,
                               size_t bytes, const ucp_am_recv_param_t *parameters)
{
    struct ucx *u = argument;
    struct ucx_request request;
    struct ucx_client *client;
    struct ucx_job *job = u->idle_jobs;

    (void)data, (void)bytes;
    if (header_bytes != sizeof(request)) {
        return UCS_OK;
    }
    memcpy(&request, header, sizeof(request));
    client = find_client(u, parameters);
    if (client == NULL || client->failed) {
        return UCS_OK;
    }
    if (job != NULL) {
        u->idle_jobs = job->next;
    } else if (u->jobs_count < UCX_JOBS_MAX && (job = calloc(1, sizeof(*job))) != NULL) {
        u->jobs_count++;
    } else {
        return UCS_OK; /* the reader's deadline tells it */
    }
    *job = (struct ucx_job){.client = client, .request = request};
    client->jobs++;
    append_job(u, job);
    return UCS_OK;
}

static void on_fragment_sent(void *request, ucs_status_t status, void *argument)
{
    struct ucx_fragment *fragment = argument;

    if (request != NULL) {
        ucp_request_free(request);
    }
    if (status != UCS_OK) {
        fragment->job->client->failed = true;
        fragment->job->client->ucx->attention = true;
    }
    if (fragment->region != NULL) {
        fragment->region->sends--;
    }
    fragment->busy = false;
    fragment->job->pending--;
    fragment->job->client->sends--;
}

/* Sends one message of a job; region is NULL for an END. */
static void send_reply(struct ucx_job *job, struct ucx_region *region, const void *payload,
                       size_t bytes, enum ckpt_status status)
{
    struct ucx_fragment *fragment = job->fragments;
    ucp_request_param_t parameters = {.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK |
                                                      UCP_OP_ATTR_FIELD_USER_DATA |
                                                      UCP_OP_ATTR_FIELD_FLAGS,
                                      .flags = UCP_AM_SEND_FLAG_EAGER,
                                      .cb.send = on_fragment_sent};
    void *request;

    while (fragment->busy) {
        fragment++;
    }
    parameters.user_data = fragment;
    *fragment = (struct ucx_fragment){.job = job,
                                      .header = {.token = job->request.token,
                                                 .offset = job->posted,
                                                 .index = job->request.index,
                                                 .status = (uint32_t)status},
                                      .region = region,
                                      .busy = true};
    job->pending++;
    job->client->sends++;
    if (region != NULL) {
        region->sends++;
    }
    request =
        ucp_am_send_nbx(job->client->ep, region != NULL ? UCX_DATA : UCX_END, &fragment->header,
                        sizeof(fragment->header), payload, bytes, &parameters);
    if (!UCS_PTR_IS_PTR(request)) {
        on_fragment_sent(NULL, UCS_PTR_STATUS(request), fragment);
    }
}

/* Whether the region may still be served; checked before each fragment, and before the END, which
 * thereby tells that all bytes were taken from the region before it was revoked. */
static enum ckpt_status check(struct ucx *u, const struct ucx_request *request,
                              struct ucx_region **region_out)
{
    struct ucx_region *region = ucx_region_find(u, request->region);

    if (region == NULL || *region->base.generation != request->generation) {
        return CKPT_ERR_STALE;
    }
    if (request->offset > region->base.bytes ||
        request->bytes > region->base.bytes - request->offset) {
        return CKPT_ERR_SIZE;
    }
    *region_out = region;
    return CKPT_OK;
}

/* Takes one job a step further; returns whether anything was sent. */
static bool serve(struct ucx *u, struct ucx_job *job)
{
    struct ucx_region *region = NULL;
    enum ckpt_status status;
    uint64_t bytes = job->request.bytes - job->posted;

    if (job->ended || job->client->ep == NULL || job->pending == UCX_FRAGMENTS_IN_FLIGHT ||
        job->client->sends == UCX_SENDS_PER_CLIENT) {
        return false;
    }
    status = check(u, &job->request, &region);
    if (status == CKPT_OK && bytes != 0) {
        bytes = bytes < u->fragment_bytes ? bytes : u->fragment_bytes;
        send_reply(job, region, region->base.address + job->request.offset + job->posted, bytes,
                   CKPT_OK);
        job->posted += bytes;
        return true;
    }
    if (job->pending != 0) {
        return false;
    }
    job->ended = true;
    send_reply(job, NULL, NULL, 0, status);
    return true;
}

/* Serves the jobs in the order of their requests, so that a reader gets its slices one after
 * another and not all at the end. Returns whether anything was sent or ended. */
bool ucx_source_serve(struct ucx *u)
{
    struct ucx_job *job = u->jobs;
    bool moved = false;

    u->jobs = u->jobs_last = NULL;
    while (job != NULL) {
        struct ucx_job *next = job->next;
        if (!job->client->failed) {
            while (serve(u, job)) {
                moved = true;
            }
        } else {
            job->ended = true;
        }
        if (job->ended && job->pending == 0) {
            job->client->jobs--;
            job->next = u->idle_jobs;
            u->idle_jobs = job;
            moved = true;
        } else {
            append_job(u, job);
        }
        job = next;
    }
    return moved;
}

static void make_endpoint(struct ucx *u, struct ucx_client *client)
{
    ucp_ep_params_t parameters = {
        .field_mask = UCP_EP_PARAM_FIELD_CONN_REQUEST | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER,
        .conn_request = client->asking,
        .err_mode = UCP_ERR_HANDLING_MODE_PEER,
        .err_handler = {.cb = on_error, .arg = client},
    };

    client->asking = NULL;
    if (ucp_ep_create(u->worker, &parameters, &client->ep) != UCS_OK) {
        client->ep = NULL;
        client->failed = true;
    }
}

static void force_close(struct ucx_client *client)
{
    ucp_request_param_t parameters = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                      .flags = UCP_EP_CLOSE_FLAG_FORCE};
    void *request = ucp_ep_close_nbx(client->ep, &parameters);

    if (UCS_PTR_IS_PTR(request)) {
        ucp_request_free(request);
    }
    client->ep = NULL;
}

/* Takes new clients on, and lets go of clients that have left or failed. Outside of UCX's callbacks
 * only. */
void ucx_clients_tend(struct ucx *u)
{
    struct ucx_client **link = &u->clients;

    while (*link != NULL) {
        struct ucx_client *client = *link;
        if (client->asking != NULL) {
            make_endpoint(u, client);
        }
        if (client->failed && client->ep != NULL) {
            force_close(client);
        }
        if (client->failed && client->jobs == 0) {
            *link = client->next;
            u->clients_count--;
            free(client);
        } else {
            link = &client->next;
        }
    }
}

void ucx_source_fail_region(struct ucx *u, const struct ucx_region *region)
{
    for (struct ucx_job *job = u->jobs; job != NULL; job = job->next) {
        for (size_t i = 0; i < UCX_FRAGMENTS_IN_FLIGHT; i++) {
            if (job->fragments[i].busy && job->fragments[i].region == region) {
                job->client->failed = true;
            }
        }
    }
}

bool ucx_source_quiet(const struct ucx *u)
{
    for (const struct ucx_job *job = u->jobs; job != NULL; job = job->next) {
        if (job->pending != 0) {
            return false;
        }
    }
    return true;
}

enum ckpt_status ucx_source_open(struct ucx *u)
{
    ucp_am_handler_param_t parameters = {.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID |
                                                       UCP_AM_HANDLER_PARAM_FIELD_CB |
                                                       UCP_AM_HANDLER_PARAM_FIELD_ARG,
                                         .id = UCX_REQUEST,
                                         .cb = on_request,
                                         .arg = u};

    return ucp_worker_set_am_recv_handler(u->worker, &parameters) == UCS_OK ? CKPT_OK
                                                                            : CKPT_ERR_MEMORY;
}

enum ckpt_status ucx_source_listen(struct ucx *u, const char *devices)
{
    struct sockaddr_storage where;
    struct sockaddr_in four;
    ucp_listener_attr_t attributes = {.field_mask = UCP_LISTENER_ATTR_FIELD_SOCKADDR};
    ucp_listener_params_t parameters = {
        .field_mask = UCP_LISTENER_PARAM_FIELD_SOCK_ADDR | UCP_LISTENER_PARAM_FIELD_CONN_HANDLER,
        .sockaddr.addr = (const struct sockaddr *)&where,
        .conn_handler = {.cb = on_connection, .arg = u},
    };
    ucs_status_t result;

    if (hosts_of_this_machine(devices, &u->hosts) != CKPT_OK) {
        transport_set_open_error("ucx: this machine has no network address to listen at");
        return CKPT_ERR_SYSTEM;
    }
    if (u->loopback_is_broken) {
        hosts_leave_out_loopback(&u->hosts);
        if (u->hosts.count == 0) {
            transport_set_open_error("ucx:tcp: UCX %s finds no way over lo (1.20 alone): name "
                                     "another device, or use another version of UCX",
                                     transport_ucx_version());
            return CKPT_ERR_CONFIG;
        }
    }
    parameters.sockaddr.addrlen = hosts_listen_address(&u->hosts, &where);
    result = ucp_listener_create(u->worker, &parameters, &u->listener);
    if (result == UCS_OK) {
        result = ucp_listener_query(u->listener, &attributes);
        if (result != UCS_OK) {
            ucp_listener_destroy(u->listener);
        }
    }
    if (result != UCS_OK) {
        transport_set_open_error("ucx: listening at port %u: %s", u->hosts.port,
                                 ucs_status_string(result));
        return CKPT_ERR_SYSTEM;
    }
    /* The port has the same place in addresses of both families. */
    memcpy(&four, &attributes.sockaddr, sizeof(four));
    u->hosts.port = ntohs(four.sin_port);
    return CKPT_OK;
}

static void free_jobs(struct ucx_job *job)
{
    while (job != NULL) {
        struct ucx_job *next = job->next;
        free(job);
        job = next;
    }
}

/* After the worker is gone. */
void ucx_source_close(struct ucx *u)
{
    free_jobs(u->jobs);
    free_jobs(u->idle_jobs);
    while (u->clients != NULL) {
        struct ucx_client *client = u->clients;
        u->clients = client->next;
        free(client);
    }
}
