/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing, and the turn of the wheel. */
#include "transport/verbs/client.h"
#include "transport/verbs/endpoint.h"
#include "transport/verbs/events.h"
#include "transport/verbs/farewell.h"
#include "transport/verbs/lane.h"
#include "transport/verbs/rails.h"
#include "transport/verbs/reader.h"
#include "transport/verbs/region.h"
#include "transport/verbs/removal.h"
#include "transport/verbs/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "transport/verbs/watch.h"

/* While work completes, the kernel is asked for news so often at most. */
#define LOOK_NS UINT64_C(200000)

static bool poll_all(struct verbs *v)
{
    int count = 0;

    for (uint32_t i = 0; i < v->rails_count; i++) {
        count += v->rails[i].removed ? 0 : verbs_poll(&v->rails[i]);
    }
    return count != 0;
}

static void tend(struct verbs *v, uint64_t now)
{
    if (v->attention || now >= v->timer_ns) {
        v->attention = false;
        verbs_removals_tend(v);
        verbs_farewells_tend(v);
        verbs_clients_tend(v);
        verbs_endpoints_tend(v, now);
    }
}

static size_t progress(struct transport *t, struct transport_completion *done, size_t done_max)
{
    struct verbs *v = as_verbs(t);
    uint64_t now = clock_now_ns();
    bool slept = t->armed;
    bool moved;

    transport_base_disarm(t);
    moved = poll_all(v);
    if (moved) {
        v->completed_ns = now;
    }
    if (slept || !moved || now - v->looked_ns > LOOK_NS) {
        v->looked_ns = now;
        verbs_look(v);
        verbs_rails_watch(v, now);
    }
    tend(v, now);
    if (v->issue) {
        verbs_issue(v);
    }
    if (v->reads.in_flight.first != NULL) {
        struct transport_endpoint *silent = reads_silent_endpoint(&v->reads, now);
        if (silent != NULL) {
            silent->heard_ns = now;
            verbs_endpoint_fail(as_verbs_endpoint(silent), CKPT_ERR_TIMEOUT);
        }
    }
    return reads_take(&v->reads, done, done_max, verbs_endpoint_release);
}

/* An interrupt and a wake-up for each slice would cost more than looking for it; but no processor
 * is burnt for a peer that does not answer. */
static bool is_busy(const struct verbs *v)
{
    return v->works_in_flight != 0 && clock_now_ns() - v->completed_ns < v->spin_ns;
}

static bool arm(struct transport *t)
{
    struct verbs *v = as_verbs(t);
    uint64_t deadline = reads_deadline_ns(&v->reads);

    if (reads_ready(&v->reads) || v->attention || v->issue || is_busy(v)) {
        return false;
    }
    for (uint32_t i = 0; i < v->rails_count; i++) {
        if (!v->rails[i].removed && ibv_req_notify_cq(v->rails[i].cq, 0) != 0) {
            return false;
        }
    }
    /* What completed before the request gives no event. */
    if (poll_all(v)) {
        return false;
    }
    transport_base_set_armed(t, deadline < v->timer_ns ? deadline : v->timer_ns);
    return true;
}

static enum ckpt_status address(struct transport *t, uint8_t *address_out, size_t *bytes_out)
{
    struct verbs *v = as_verbs(t);
    struct card card = {.rails_count = v->rails_count};
    uint8_t payload[CARD_BYTES_MAX];

    memcpy(card.secret, v->secret, CARD_SECRET_BYTES);
    for (uint32_t i = 0; i < v->rails_count; i++) {
        card.rails[i] = v->rails[i].card;
    }
    struct label label = {.kind = LABEL_ADDRESS,
                          .backend = LABEL_VERBS,
                          .transport = v->id,
                          .payload = payload,
                          .payload_bytes = card_encode(&card, payload)};
    return label_encode(&label, address_out, CKPT_WORKER_ADDRESS_MAX, bytes_out);
}

/* No new work, and what is in flight comes back; bounded. */
static void quiesce(struct verbs *v)
{
    uint64_t end = clock_now_ns() + VERBS_CLOSE_NS;

    for (uint32_t i = 0; i < v->rails_count; i++) {
        if (v->rails[i].listener != NULL) {
            rdma_destroy_id(v->rails[i].listener);
            v->rails[i].listener = NULL;
        }
    }
    for (struct transport_endpoint *e = v->reads.endpoints; e != NULL; e = e->next) {
        e->disconnecting = true;
        verbs_endpoint_fail(as_verbs_endpoint(e), CKPT_ERR_LINK);
    }
    verbs_endpoints_tend(v, clock_now_ns());
    while (v->works_in_flight != 0 && clock_now_ns() < end) {
        poll_all(v);
    }
}

static void free_all(struct verbs *v)
{
    verbs_regions_close(v);
    verbs_slots_close(v);
    verbs_rails_close(v);
    rdma_destroy_event_channel(v->events);
    free(v->works);
    transport_base_close(&v->base);
    reads_close(&v->reads);
    free(v);
}

static void close_verbs(struct transport *t, transport_sink *sink, void *context)
{
    struct verbs *v = as_verbs(t);

    quiesce(v);
    verbs_clients_fail(v);
    for (struct transport_endpoint *e = v->reads.endpoints; e != NULL; e = e->next) {
        struct verbs_endpoint *endpoint = as_verbs_endpoint(e);
        for (uint32_t i = 0; i < endpoint->lanes_count; i++) {
            verbs_lane_close(&endpoint->lanes[i]);
        }
    }
    reads_drain(&v->reads, sink, context, verbs_endpoint_release);
    verbs_farewells_close(v);
    free_all(v);
}

static const struct transport_ops verbs_ops = {
    .close = close_verbs,
    .register_memory = verbs_register,
    .deregister = verbs_deregister,
    .export_region = verbs_export,
    .address = address,
    .connect = verbs_connect,
    .disconnect = verbs_disconnect,
    .read = verbs_start_read,
    .progress = progress,
    .arm = arm,
    .rails = verbs_rails_state,
};

static enum ckpt_status open_events(struct verbs *v)
{
    int flags;

    v->events = rdma_create_event_channel();
    if (v->events == NULL) {
        transport_set_open_error("verbs: rdma_cm cannot be used: %s (is the module rdma_ucm "
                                 "loaded?)",
                                 strerror(errno));
        return CKPT_ERR_SYSTEM;
    }
    flags = fcntl(v->events->fd, F_GETFL);
    if (flags < 0 || fcntl(v->events->fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        transport_base_watch(&v->base, v->events->fd) != CKPT_OK) {
        rdma_destroy_event_channel(v->events);
        transport_set_open_error("verbs: no events of rdma_cm: %s", strerror(errno));
        return CKPT_ERR_SYSTEM;
    }
    return CKPT_OK;
}

static enum ckpt_status make_works(struct verbs *v)
{
    v->works = calloc(VERBS_WORKS_MAX, sizeof(*v->works));
    if (v->works == NULL) {
        return CKPT_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < VERBS_WORKS_MAX; i++) {
        v->works[i].next = v->idle_works;
        v->idle_works = &v->works[i];
    }
    return CKPT_OK;
}

/* Registered pages and a child that writes to them: kernels since 5.12 copy them for the child. */
static void warn_of_forks(void)
{
    if (ibv_is_fork_initialized() == IBV_FORK_DISABLED) {
        log_event(EVENT_verbs_fork_unsafe, "hint=%s",
                  LOG_QUOTED("this kernel does not copy registered pages on fork: this process "
                             "must not fork while the transport is open"));
    }
}

static enum ckpt_status open_parts(struct verbs *v, const char *names,
                                   const struct transport_options *options)
{
    /* Before rdma_cm: that it is not there either is no news. */
    enum ckpt_status status = verbs_devices_check();

    if (status == CKPT_OK) {
        status = open_events(v);
    }
    if (status != CKPT_OK) {
        return status;
    }
    status = verbs_rails_open(v, names, options);
    if (status != CKPT_OK) {
        goto close_events;
    }
    status = verbs_slots_open(v);
    if (status != CKPT_OK) {
        goto close_rails;
    }
    warn_of_forks();
    return CKPT_OK;

close_rails:
    verbs_rails_close(v);
close_events:
    rdma_destroy_event_channel(v->events);
    return status;
}

enum ckpt_status transport_verbs_open(const char *arguments,
                                      const struct transport_options *options,
                                      struct transport **transport_out)
{
    struct verbs *v = calloc(1, sizeof(*v));
    enum ckpt_status status;

    if (v == NULL) {
        return CKPT_ERR_MEMORY;
    }
    v->id = transport_random_id();
    v->timer_ns = UINT64_MAX;
    v->traffic_class = options->traffic_class;
    v->service_level = options->service_level;
    v->spin_ns = (options->spin_us != 0 ? options->spin_us : VERBS_SPIN_US) * UINT64_C(1000);
    if (getrandom(v->secret, sizeof(v->secret), 0) != (ssize_t)sizeof(v->secret)) {
        status = CKPT_ERR_SYSTEM;
        goto free_verbs;
    }
    status = make_works(v);
    if (status != CKPT_OK) {
        goto free_verbs;
    }
    status = reads_open(&v->reads, options, sizeof(struct verbs_read));
    if (status != CKPT_OK) {
        goto free_works;
    }
    status = transport_base_open(&v->base, &verbs_ops, "verbs");
    if (status != CKPT_OK) {
        goto close_reads;
    }
    status = open_parts(v, arguments, options);
    if (status != CKPT_OK) {
        goto close_base;
    }
    v->base.capabilities = (struct transport_capabilities){.read_bytes_max = VERBS_READ_BYTES_MAX,
                                                           .slice_bytes = VERBS_SLICE_BYTES,
                                                           .depth = 16 * v->rails_count,
                                                           .in_flight_max = v->reads.count,
                                                           .one_sided = true,
                                                           .pins_memory = true};
    *transport_out = &v->base;
    return CKPT_OK;

close_base:
    transport_base_close(&v->base);
close_reads:
    reads_close(&v->reads);
free_works:
    free(v->works);
free_verbs:
    free(v);
    return status;
}
