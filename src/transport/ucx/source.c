/* SPDX-License-Identifier: Apache-2.0 */
/* The side that is read: clients, and jobs that serve their requests a fragment at a time, in turn.
 */
#include "transport/ucx/ucx.h"

#include <stdlib.h>
#include <string.h>

static struct ucx_client *find_client(struct ucx *u, uint64_t link)
{
    struct ucx_client *client = u->clients;

    while (client != NULL && client->link != link) {
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

static ucs_status_t on_hello(void *argument, const void *header, size_t header_bytes, void *data,
                             size_t bytes, const ucp_am_recv_param_t *parameters)
{
    struct ucx *u = argument;
    struct ucx_client *client;
    struct ucx_hello hello;
    struct label label;

    if (header_bytes != sizeof(hello) || bytes > CKPT_WORKER_ADDRESS_MAX ||
        (parameters->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0) {
        return UCS_OK;
    }
    memcpy(&hello, header, sizeof(hello));
    if (label_decode(data, bytes, LABEL_ADDRESS, LABEL_UCX, &label) != CKPT_OK ||
        find_client(u, hello.link) != NULL) {
        return UCS_OK;
    }
    client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return UCS_OK;
    }
    client->address = malloc(label.payload_bytes);
    if (client->address == NULL) {
        free(client);
        return UCS_OK;
    }
    memcpy(client->address, label.payload, label.payload_bytes);
    client->ucx = u;
    client->link = hello.link;
    client->next = u->clients;
    u->clients = client;
    u->attention = true;
    return UCS_OK;
}

static ucs_status_t on_bye(void *argument, const void *header, size_t header_bytes, void *data,
                           size_t bytes, const ucp_am_recv_param_t *parameters)
{
    struct ucx *u = argument;
    struct ucx_hello hello;
    struct ucx_client *client;

    (void)data, (void)bytes, (void)parameters;
    if (header_bytes == sizeof(hello)) {
        memcpy(&hello, header, sizeof(hello));
        client = find_client(u, hello.link);
        if (client != NULL) {
            client->failed = true;
            u->attention = true;
        }
    }
    return UCS_OK;
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

    (void)data, (void)bytes, (void)parameters;
    if (header_bytes != sizeof(request)) {
        return UCS_OK;
    }
    memcpy(&request, header, sizeof(request));
    client = find_client(u, request.link);
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

    if (job->ended || job->client->ep == NULL || job->pending == UCX_FRAGMENTS_IN_FLIGHT) {
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

/* Gives each job a turn. Returns whether anything was sent or ended. */
bool ucx_source_serve(struct ucx *u)
{
    struct ucx_job *job = u->jobs;
    bool moved = false;

    u->jobs = u->jobs_last = NULL;
    while (job != NULL) {
        struct ucx_job *next = job->next;
        if (!job->client->failed) {
            moved |= serve(u, job);
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
        .field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER,
        .address = (const ucp_address_t *)(const void *)client->address,
        .err_mode = UCP_ERR_HANDLING_MODE_PEER,
        .err_handler = {.cb = on_error, .arg = client},
    };

    if (ucp_ep_create(u->worker, &parameters, &client->ep) != UCS_OK) {
        client->ep = NULL;
        client->failed = true;
    }
    free(client->address);
    client->address = NULL;
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

/* Answers HELLOs, and lets go of clients that have left or failed. Outside of UCX's callbacks only.
 */
void ucx_clients_tend(struct ucx *u)
{
    struct ucx_client **link = &u->clients;

    while (*link != NULL) {
        struct ucx_client *client = *link;
        if (client->address != NULL && !client->failed) {
            make_endpoint(u, client);
        }
        if (client->failed && client->ep != NULL) {
            force_close(client);
        }
        if (client->failed && client->jobs == 0) {
            *link = client->next;
            free(client->address);
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
    static const struct {
        enum ucx_message message;
        ucp_am_recv_callback_t handler;
    } handlers[] = {{UCX_HELLO, on_hello}, {UCX_REQUEST, on_request}, {UCX_BYE, on_bye}};

    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        ucp_am_handler_param_t parameters = {.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID |
                                                           UCP_AM_HANDLER_PARAM_FIELD_CB |
                                                           UCP_AM_HANDLER_PARAM_FIELD_ARG,
                                             .id = handlers[i].message,
                                             .cb = handlers[i].handler,
                                             .arg = u};
        if (ucp_worker_set_am_recv_handler(u->worker, &parameters) != UCS_OK) {
            return CKPT_ERR_MEMORY;
        }
    }
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
        free(client->address);
        free(client);
    }
}
