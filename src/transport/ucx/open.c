/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing, and the turn of the wheel. */
#include "transport/ucx/configure.h"
#include "transport/ucx/reader.h"
#include "transport/ucx/region.h"
#include "transport/ucx/source.h"
#include "transport/ucx/ucx.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* Turns of UCX in one call of progress, so that a busy source still returns to its owner. */
#define TURNS_MAX 32

static size_t progress(struct transport *t, struct transport_completion *done, size_t done_max)
{
    struct ucx *u = as_ucx(t);
    bool moved = true;

    transport_base_disarm(t);
    for (int turn = 0; turn < TURNS_MAX && moved && !reads_ready(&u->reads); turn++) {
        moved = ucp_worker_progress(u->worker) != 0;
        if (u->jobs != NULL) {
            moved |= ucx_source_serve(u);
        }
        if (u->attention) {
            u->attention = false;
            ucx_clients_tend(u);
            ucx_endpoints_tend(u);
        }
    }
    u->busy = moved;
    if (u->reads.in_flight.first != NULL) {
        uint64_t now = clock_now_ns();
        struct transport_endpoint *silent = reads_silent_endpoint(&u->reads, now);
        if (silent != NULL) {
            silent->heard_ns = now;
            ucx_endpoint_fail((struct ucx_endpoint *)(void *)silent, CKPT_ERR_TIMEOUT);
        }
    }
    return reads_take(&u->reads, done, done_max, ucx_endpoint_release);
}

static bool arm(struct transport *t)
{
    struct ucx *u = as_ucx(t);

    if (reads_ready(&u->reads) || u->attention || u->busy || ucp_worker_arm(u->worker) != UCS_OK) {
        return false;
    }
    transport_base_set_armed(t, reads_deadline_ns(&u->reads));
    return true;
}

static enum ckpt_status address(struct transport *t, uint8_t *address_out, size_t *bytes_out)
{
    struct ucx *u = as_ucx(t);
    uint8_t payload[HOSTS_BYTES_MAX];
    struct label label = {.kind = LABEL_ADDRESS,
                          .backend = LABEL_UCX,
                          .transport = u->id,
                          .payload = payload,
                          .payload_bytes = hosts_encode(&u->hosts, payload)};

    return label_encode(&label, address_out, CKPT_WORKER_ADDRESS_MAX, bytes_out);
}

/* Makes UCX let go of everything of ours; bounded. */
static void quiesce(struct ucx *u)
{
    uint64_t end = clock_now_ns() + UCX_CLOSE_NS;

    for (struct transport_endpoint *e = u->reads.endpoints; e != NULL; e = e->next) {
        if (!e->disconnecting) {
            e->disconnecting = true;
            ucx_disconnect(e);
        }
    }
    for (struct ucx_client *client = u->clients; client != NULL; client = client->next) {
        client->failed = true;
    }
    do {
        ucx_clients_tend(u);
        ucx_endpoints_tend(u);
        while (ucp_worker_progress(u->worker) != 0) {
        }
    } while ((u->reads.in_flight.first != NULL || !ucx_source_quiet(u)) && clock_now_ns() < end);
}

static void close_ucx(struct transport *t, transport_sink *sink, void *context)
{
    struct ucx *u = as_ucx(t);

    ucp_listener_destroy(u->listener);
    quiesce(u);
    reads_drain(&u->reads, sink, context, ucx_endpoint_release);
    ucx_regions_close(u);
    ucp_worker_destroy(u->worker);
    ucx_source_close(u);
    ucp_cleanup(u->context);
    transport_base_close(t);
    reads_close(&u->reads);
    free(u);
}

static const struct transport_ops ucx_ops = {
    .close = close_ucx,
    .register_memory = ucx_register,
    .deregister = ucx_deregister,
    .export_region = ucx_export,
    .address = address,
    .connect = ucx_connect,
    .disconnect = ucx_disconnect,
    .read = ucx_start_read,
    .progress = progress,
    .arm = arm,
};

static enum ckpt_status open_worker(struct ucx *u, const struct transport_options *options)
{
    ucp_worker_params_t parameters = {.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
                                      .thread_mode = UCS_THREAD_MODE_SINGLE};
    ucs_status_t result = ucp_worker_create(u->context, &parameters, &u->worker);
    enum ckpt_status status;
    int fd;

    if (result != UCS_OK) {
        transport_set_open_error("ucx: opening a worker: %s", ucs_status_string(result));
        return CKPT_ERR_SYSTEM;
    }
    status = ucx_reader_open(u);
    if (status == CKPT_OK) {
        status = ucx_source_open(u);
    }
    if (status == CKPT_OK && (ucp_worker_get_efd(u->worker, &fd) != UCS_OK ||
                              transport_base_watch(&u->base, fd) != CKPT_OK)) {
        transport_set_open_error("ucx: these devices give no events to sleep on");
        status = CKPT_ERR_SYSTEM;
    }
    if (status == CKPT_OK) {
        u->hosts.port = options->port;
        status = ucx_source_listen(u, options->devices);
    }
    if (status != CKPT_OK) {
        ucp_worker_destroy(u->worker);
    }
    return status;
}

enum ckpt_status transport_ucx_open(const char *arguments, const struct transport_options *options,
                                    struct transport **transport_out)
{
    struct ucx *u = calloc(1, sizeof(*u));
    enum ckpt_status status;

    if (u == NULL) {
        return CKPT_ERR_MEMORY;
    }
    u->id = transport_random_id();
    u->last_token = transport_random_id();
    status = reads_open(&u->reads, options, sizeof(struct ucx_read));
    if (status != CKPT_OK) {
        goto free_ucx;
    }
    status = transport_base_open(&u->base, &ucx_ops, "ucx");
    if (status != CKPT_OK) {
        goto close_reads;
    }
    status = ucx_context_open(arguments, options->devices, u);
    if (status != CKPT_OK) {
        goto close_base;
    }
    status = open_worker(u, options);
    if (status != CKPT_OK) {
        goto close_context;
    }
    u->base.capabilities = (struct transport_capabilities){.read_bytes_max = 64 * CKPT_MIB,
                                                           .slice_bytes = CKPT_MIB,
                                                           .depth = 16,
                                                           .in_flight_max = u->reads.count};
    *transport_out = &u->base;
    return CKPT_OK;

close_context:
    ucp_cleanup(u->context);
close_base:
    transport_base_close(&u->base);
close_reads:
    reads_close(&u->reads);
free_ucx:
    free(u);
    return status;
}
