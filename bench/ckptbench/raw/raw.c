/* SPDX-License-Identifier: Apache-2.0 */
/* The reading end. */
#include "raw/raw.h"

#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "memory/buffer.h"
#include "process/clock.h"
#include "raw/raw_peer.h"
#include "transport/transport.h"

#define COMPLETIONS_A_TURN 64

struct raw {
    struct raw_options options;
    struct raw_peer *peer;
    struct transport *transport;
    struct transport_endpoint *endpoint;
    uint8_t *memory;
    uint32_t segments;
    size_t memory_bytes;
    struct transport_region **regions;
    uint32_t depth;
    uint64_t slice_bytes;
    uint64_t touched; /* bytes from the begin of memory that were read */
    /* Of the read in progress: */
    struct raw_plan plan;
    uint64_t issued;
    uint32_t in_flight;
    uint64_t *issue_ns; /* by cookie */
    uint32_t *cookies;  /* a stack of those that are free */
};

static enum ckpt_status say(char *reason, enum ckpt_status status, const char *what)
{
    return reason_refuse(reason, status, "raw read: %s: %s", what, ckpt_status_text(status));
}

static void choose_defaults(struct raw *raw)
{
    const struct transport_capabilities *able = &raw->transport->capabilities;
    raw->depth = able->depth < able->in_flight_max ? able->depth : able->in_flight_max;
    raw->slice_bytes = able->slice_bytes - able->slice_bytes % CKPT_CHUNK_BYTES;
    if (raw->slice_bytes == 0) {
        raw->slice_bytes = CKPT_CHUNK_BYTES;
    }
}

static enum ckpt_status open_transport(struct raw *raw, char *reason)
{
    struct transport_options options = {.devices = raw->options.devices};
    enum ckpt_status status = transport_open(raw->options.transport, &options, &raw->transport);
    if (status != CKPT_OK) {
        return reason_refuse(reason, status, "%s",
                             transport_open_error()[0] != '\0' ? transport_open_error()
                                                               : ckpt_status_text(status));
    }
    choose_defaults(raw);
    uint32_t most = raw->transport->capabilities.in_flight_max;
    raw->issue_ns = calloc(most, sizeof(*raw->issue_ns));
    raw->cookies = calloc(most, sizeof(*raw->cookies));
    raw->memory = buffer_make_shared(raw->memory_bytes);
    if (raw->memory == NULL || raw->issue_ns == NULL || raw->cookies == NULL) {
        return say(reason, CKPT_ERR_MEMORY, "memory to read into");
    }
    for (uint32_t i = 0; i < raw->segments; i++) {
        struct transport_memory memory = {.address = raw->memory + i * raw->options.segment_bytes,
                                          .bytes = raw->options.segment_bytes};
        status = transport_register(raw->transport, &memory, &raw->regions[i]);
        if (status != CKPT_OK) {
            return say(reason, status, "registering");
        }
    }
    return CKPT_OK;
}

static enum ckpt_status meet_peer(struct raw *raw, char *reason)
{
    const struct raw_options *options = &raw->options;
    struct raw_peer_options wanted = {
        .connect = options->connect,
        .spins = options->spins,
        .source = {.transport = options->peer_transport != NULL ? options->peer_transport
                                                                : options->transport,
                   .devices = options->peer_transport == NULL ? options->devices : NULL,
                   .bytes = options->bytes,
                   .segment_bytes = options->segment_bytes,
                   .is_gpu = options->is_gpu,
                   .gpu = options->gpu}};
    return raw_peer_open(&wanted, &raw->peer, reason);
}

static enum ckpt_status connect_peer(struct raw *raw, char *reason)
{
    size_t bytes;
    const uint8_t *address = raw_peer_address(raw->peer, &bytes);
    enum ckpt_status status = transport_connect(raw->transport, address, bytes, 0, &raw->endpoint);
    return status == CKPT_OK ? CKPT_OK : say(reason, status, "connecting");
}

/* The calling thread, and the processes it starts from now on. */
static enum ckpt_status pin(const struct raw_options *options, uint32_t cpu, char *reason)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (options->is_pinned && sched_setaffinity(0, sizeof(set), &set) != 0) {
        return reason_refuse(reason, CKPT_ERR_CONFIG, "CPU %u is not there, or not for us", cpu);
    }
    return CKPT_OK;
}

enum ckpt_status raw_open(const struct raw_options *options, struct raw **raw_out, char *reason)
{
    struct raw *raw = calloc(1, sizeof(*raw));
    enum ckpt_status status = CKPT_ERR_MEMORY;
    if (raw == NULL) {
        return say(reason, status, "starting");
    }
    raw->options = *options;
    raw->segments =
        (uint32_t)((options->bytes + options->segment_bytes - 1) / options->segment_bytes);
    raw->memory_bytes = raw->segments * options->segment_bytes;
    raw->regions = calloc(raw->segments, sizeof(struct transport_region *));
    if (raw->regions == NULL) {
        say(reason, status, "starting");
        goto close_raw;
    }
    /* First the other process, if one is started: never across an open transport. */
    status = pin(options, options->source_cpu, reason);
    if (status == CKPT_OK) {
        status = meet_peer(raw, reason);
    }
    if (status == CKPT_OK) {
        status = pin(options, options->reader_cpu, reason);
    }
    if (status == CKPT_OK) {
        status = open_transport(raw, reason);
    }
    if (status == CKPT_OK) {
        status = raw_peer_ready(raw->peer, raw->segments, reason);
    }
    if (status == CKPT_OK) {
        status = connect_peer(raw, reason);
    }
    if (status == CKPT_OK) {
        *raw_out = raw;
        return CKPT_OK;
    }

close_raw:
    raw_close(&raw);
    return status;
}

void raw_close(struct raw **raw)
{
    struct raw *r = *raw;
    if (r == NULL) {
        return;
    }
    transport_close(r->transport, NULL, NULL);
    raw_peer_close(&r->peer);
    buffer_free(&r->memory, r->memory_bytes);
    free(r->regions);
    free(r->issue_ns);
    free(r->cookies);
    free(r);
    *raw = NULL;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static enum ckpt_status issue(struct raw *raw)
{
    uint64_t segment_bytes = raw->options.segment_bytes;
    uint64_t place = raw->issued % raw->options.bytes;
    uint64_t offset = place % segment_bytes;
    uint64_t bytes = least(raw->plan.slice_bytes, segment_bytes - offset);
    bytes = least(bytes, raw->options.bytes - place);
    bytes = least(bytes, raw->plan.bytes - raw->issued);
    uint32_t segment = (uint32_t)(place / segment_bytes);
    uint32_t cookie = raw->cookies[raw->in_flight];
    const struct source_region *remote = raw_peer_region(raw->peer, segment);
    struct transport_read_request request = {
        .endpoint = raw->endpoint,
        .descriptor = remote->descriptor,
        .descriptor_bytes = remote->bytes,
        .remote_offset = offset,
        .local = raw->regions[segment],
        .local_offset = offset,
        .bytes = bytes,
        .cookie = cookie,
    };
    raw->issue_ns[cookie] = raw->plan.latency != NULL ? clock_now_ns() : 0;
    enum ckpt_status status = transport_read(&request);
    if (status == CKPT_OK) {
        raw->issued += bytes;
        raw->in_flight++;
    }
    return status;
}

static void complete(struct raw *raw, const struct transport_completion *done, uint64_t now)
{
    uint32_t cookie = (uint32_t)done->cookie;
    raw->cookies[--raw->in_flight] = cookie;
    if (raw->plan.latency != NULL && done->status == CKPT_OK) {
        latency_add(raw->plan.latency, now - raw->issue_ns[cookie]);
    }
}

/* One turn of the loop of transport.h. */
static enum ckpt_status turn(struct raw *raw)
{
    struct transport_completion done[COMPLETIONS_A_TURN];
    struct pollfd waiter = {.fd = transport_event_fd(raw->transport), .events = POLLIN};
    enum ckpt_status status = CKPT_OK;
    while (status == CKPT_OK && raw->issued < raw->plan.bytes && raw->in_flight < raw->plan.depth) {
        status = issue(raw);
    }
    size_t count = transport_progress(raw->transport, done, COMPLETIONS_A_TURN);
    uint64_t now = raw->plan.latency != NULL && count > 0 ? clock_now_ns() : 0;
    for (size_t i = 0; i < count; i++) {
        complete(raw, &done[i], now);
        if (status == CKPT_OK) {
            status = done[i].status;
        }
    }
    if (status == CKPT_OK && count == 0 && !raw->options.spins && transport_arm(raw->transport)) {
        (void)poll(&waiter, 1, -1);
    }
    return status;
}

static void begin(struct raw *raw, const struct raw_plan *plan)
{
    raw->plan = *plan;
    raw->plan.bytes = plan->bytes != 0 ? plan->bytes : raw->options.bytes;
    raw->plan.slice_bytes = plan->slice_bytes != 0 ? plan->slice_bytes : raw->slice_bytes;
    raw->plan.depth = plan->depth != 0 ? plan->depth : raw->depth;
    raw->plan.depth = (uint32_t)least(raw->plan.depth, raw_depth_max(raw));
    raw->issued = 0;
    for (uint32_t i = 0; i < raw->plan.depth; i++) {
        raw->cookies[i] = i;
    }
}

enum ckpt_status raw_read(struct raw *raw, const struct raw_plan *plan, double *seconds_out,
                          double *cpu_s_out, char *reason)
{
    uint64_t theirs, theirs_after;
    begin(raw, plan);
    enum ckpt_status status = raw_peer_cpu_ns(raw->peer, true, &theirs, reason);
    if (status != CKPT_OK) {
        return status;
    }
    uint64_t ours = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    uint64_t start = clock_now_ns();
    while (status == CKPT_OK && (raw->issued < raw->plan.bytes || raw->in_flight > 0)) {
        status = turn(raw);
    }
    double seconds = seconds_since(start);
    ours = clock_ns(CLOCK_THREAD_CPUTIME_ID) - ours;
    raw->touched =
        least(raw->options.bytes, raw->issued > raw->touched ? raw->issued : raw->touched);
    if (status != CKPT_OK) {
        return raw_peer_explain(raw->peer, status, reason);
    }
    status = raw_peer_cpu_ns(raw->peer, false, &theirs_after, reason);
    if (status == CKPT_OK) {
        *seconds_out = seconds;
        *cpu_s_out = (double)(ours + theirs_after - theirs) / 1e9;
    }
    return status;
}

enum ckpt_status raw_verify(const struct raw *raw)
{
    uint64_t segment_bytes = raw->options.segment_bytes;
    uint8_t *expected = buffer_make(segment_bytes);
    enum ckpt_status status = expected != NULL ? CKPT_OK : CKPT_ERR_MEMORY;
    for (uint32_t i = 0; i < raw->segments && status == CKPT_OK; i++) {
        uint64_t begin = i * segment_bytes;
        uint64_t left = raw->touched > begin ? raw->touched - begin : 0;
        buffer_fill(expected, segment_bytes, SOURCE_SEED(i));
        if (memcmp(expected, raw->memory + begin, least(left, segment_bytes)) != 0) {
            status = CKPT_ERR_CORRUPT;
        }
    }
    buffer_free(&expected, segment_bytes);
    return status;
}

uint64_t raw_slice_bytes(const struct raw *raw)
{
    return raw->slice_bytes;
}

uint32_t raw_depth(const struct raw *raw)
{
    return raw->depth;
}

uint64_t raw_slice_bytes_max(const struct raw *raw)
{
    return raw->transport->capabilities.read_bytes_max;
}

uint32_t raw_depth_max(const struct raw *raw)
{
    return raw->transport->capabilities.in_flight_max;
}

const char *raw_gpu_model(const struct raw *raw)
{
    return raw_peer_gpu_model(raw->peer);
}

const json_t *raw_peer_environment(const struct raw *raw)
{
    return raw->options.connect != NULL ? raw_peer_environment_of(raw->peer) : NULL;
}
