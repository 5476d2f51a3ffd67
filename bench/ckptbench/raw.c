/* SPDX-License-Identifier: Apache-2.0 */
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belongings.h"
#include "buffer.h"
#include "clock.h"
#include "self.h"
#include "transport/transport.h"

#define COMPLETIONS_A_TURN 64
#define START_MS 30000

struct remote {
    size_t bytes;
    uint8_t descriptor[CKPT_DESCRIPTOR_MAX];
};

struct raw {
    struct raw_options options;
    uint32_t segments;
    uint32_t depth;
    uint64_t slice_bytes;
    pid_t source;
    int to_source;
    FILE *from_source;
    struct transport *transport;
    struct transport_endpoint *endpoint;
    uint8_t *memory;
    size_t memory_bytes;
    struct transport_region **regions;
    struct remote *remotes;
    uint64_t issued;
    uint32_t in_flight;
};

static enum ckpt_status say(char *reason, enum ckpt_status status, const char *what)
{
    snprintf(reason, CKPT_REASON_MAX + 1, "raw read: %s: %s", what, ckpt_status_text(status));
    return status;
}

/* ---- the other process ---- */

static enum ckpt_status start_source(struct raw *raw, char *reason)
{
    char path[PATH_MAX];
    char transport[256];
    char bytes[64];
    char segment[64];
    char *argv[] = {"ckptbench", "source", transport, bytes, segment, NULL};
    int in[2];
    int out[2];
    snprintf(transport, sizeof(transport), "--transport=%s", raw->options.transport);
    snprintf(bytes, sizeof(bytes), "--bytes=%" PRIu64, raw->options.bytes);
    snprintf(segment, sizeof(segment), "--segment-bytes=%" PRIu64, raw->options.segment_bytes);
    if (!self_path(path, sizeof(path)) || pipe2(in, O_CLOEXEC) != 0) {
        return say(reason, CKPT_ERR_SYSTEM, strerror(errno));
    }
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return say(reason, CKPT_ERR_SYSTEM, strerror(errno));
    }
    raw->source = belongings_start(path, argv, in[0], out[1], -1);
    close(in[0]);
    close(out[1]);
    raw->to_source = in[1];
    raw->from_source = fdopen(out[0], "r");
    if (raw->source < 0 || raw->from_source == NULL) {
        return say(reason, CKPT_ERR_SYSTEM, "starting the source");
    }
    return CKPT_OK;
}

/* A line "WORD HEX" of the source. The first comes when its memory is filled. */
static bool take_line(struct raw *raw, const char *word, uint8_t *bytes_out, size_t size,
                      size_t *count_out)
{
    static char line[2 * CKPT_WORKER_ADDRESS_MAX + 64];
    struct pollfd waiter = {.fd = fileno(raw->from_source), .events = POLLIN};
    if (bytes_out != NULL && strcmp(word, "address") == 0 && poll(&waiter, 1, START_MS) != 1) {
        return false;
    }
    size_t length = strlen(word);
    if (fgets(line, sizeof(line), raw->from_source) == NULL || strncmp(line, word, length) != 0 ||
        line[length] != ' ') {
        return false;
    }
    size_t count = 0;
    unsigned value;
    for (const char *at = line + length + 1; sscanf(at, "%2x", &value) == 1; at += 2) {
        if (count == size) {
            return false;
        }
        bytes_out[count++] = (uint8_t)value;
    }
    *count_out = count;
    return count > 0;
}

static enum ckpt_status meet_source(struct raw *raw, char *reason)
{
    uint8_t address[CKPT_WORKER_ADDRESS_MAX];
    size_t address_bytes;
    if (!take_line(raw, "address", address, sizeof(address), &address_bytes)) {
        return say(reason, CKPT_ERR_TIMEOUT, "the source did not start");
    }
    for (uint32_t i = 0; i < raw->segments; i++) {
        struct remote *remote = &raw->remotes[i];
        if (!take_line(raw, "region", remote->descriptor, sizeof(remote->descriptor),
                       &remote->bytes)) {
            return say(reason, CKPT_ERR_PROTOCOL, "the source exports too little");
        }
    }
    enum ckpt_status status =
        transport_connect(raw->transport, address, address_bytes, 0, &raw->endpoint);
    return status == CKPT_OK ? CKPT_OK : say(reason, status, "connecting");
}

/* ---- this side ---- */

static enum ckpt_status open_transport(struct raw *raw, char *reason)
{
    enum ckpt_status status = transport_open(raw->options.transport, NULL, &raw->transport);
    if (status != CKPT_OK) {
        snprintf(reason, CKPT_REASON_MAX + 1, "%s", transport_open_error());
        return status;
    }
    const struct transport_capabilities *able = &raw->transport->capabilities;
    raw->depth = raw->options.depth != 0 ? raw->options.depth : able->depth;
    raw->depth = raw->depth < able->in_flight_max ? raw->depth : able->in_flight_max;
    raw->slice_bytes = raw->options.slice_bytes != 0 ? raw->options.slice_bytes : able->slice_bytes;
    raw->slice_bytes -= raw->slice_bytes % CKPT_CHUNK_BYTES;
    if (raw->slice_bytes == 0) {
        raw->slice_bytes = CKPT_CHUNK_BYTES;
    }
    raw->memory = buffer_make_shared(raw->memory_bytes);
    if (raw->memory == NULL) {
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

enum ckpt_status raw_open(const struct raw_options *options, struct raw **raw_out, char *reason)
{
    struct raw *raw = calloc(1, sizeof(*raw));
    enum ckpt_status status = CKPT_ERR_MEMORY;
    if (raw == NULL) {
        return say(reason, status, "starting");
    }
    raw->options = *options;
    raw->to_source = -1;
    raw->source = -1;
    raw->segments =
        (uint32_t)((options->bytes + options->segment_bytes - 1) / options->segment_bytes);
    raw->memory_bytes = raw->segments * options->segment_bytes;
    raw->regions = calloc(raw->segments, sizeof(*raw->regions));
    raw->remotes = calloc(raw->segments, sizeof(*raw->remotes));
    if (raw->regions == NULL || raw->remotes == NULL) {
        say(reason, status, "starting");
        goto close_raw;
    }
    status = start_source(raw, reason);
    if (status == CKPT_OK) {
        status = open_transport(raw, reason);
    }
    if (status == CKPT_OK) {
        status = meet_source(raw, reason);
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
    if (r->to_source >= 0) {
        close(r->to_source); /* the source ends by it */
    }
    if (r->source > 0) {
        belongings_wait(r->source, NULL);
    }
    if (r->from_source != NULL) {
        fclose(r->from_source);
    }
    buffer_free(&r->memory, r->memory_bytes);
    free(r->regions);
    free(r->remotes);
    free(r);
    *raw = NULL;
}

static enum ckpt_status issue(struct raw *raw)
{
    uint64_t segment_bytes = raw->options.segment_bytes;
    uint64_t segment = raw->issued / segment_bytes;
    uint64_t offset = raw->issued % segment_bytes;
    uint64_t bytes = raw->slice_bytes;
    bytes = bytes < segment_bytes - offset ? bytes : segment_bytes - offset;
    uint64_t left = raw->options.bytes - raw->issued;
    bytes = bytes < left ? bytes : left;
    struct transport_read_request request = {
        .endpoint = raw->endpoint,
        .descriptor = raw->remotes[segment].descriptor,
        .descriptor_bytes = raw->remotes[segment].bytes,
        .remote_offset = offset,
        .local = raw->regions[segment],
        .local_offset = offset,
        .bytes = bytes,
    };
    enum ckpt_status status = transport_read(&request);
    if (status == CKPT_OK) {
        raw->issued += bytes;
        raw->in_flight++;
    }
    return status;
}

/* One turn of the loop of transport.h. */
static enum ckpt_status turn(struct raw *raw)
{
    struct transport_completion done[COMPLETIONS_A_TURN];
    struct pollfd waiter = {.fd = transport_event_fd(raw->transport), .events = POLLIN};
    enum ckpt_status status = CKPT_OK;
    while (status == CKPT_OK && raw->issued < raw->options.bytes && raw->in_flight < raw->depth) {
        status = issue(raw);
    }
    size_t count = transport_progress(raw->transport, done, COMPLETIONS_A_TURN);
    for (size_t i = 0; i < count; i++) {
        raw->in_flight--;
        if (status == CKPT_OK) {
            status = done[i].status;
        }
    }
    if (status == CKPT_OK && count == 0 && transport_arm(raw->transport)) {
        (void)poll(&waiter, 1, -1);
    }
    return status;
}

static uint64_t cpu_ns(const struct raw *raw)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID) + process_cpu_ns(raw->source);
}

enum ckpt_status raw_read(struct raw *raw, double *seconds_out, double *cpu_s_out, char *reason)
{
    enum ckpt_status status = CKPT_OK;
    uint64_t cpu = cpu_ns(raw);
    uint64_t start = now_ns();
    raw->issued = 0;
    while (status == CKPT_OK && (raw->issued < raw->options.bytes || raw->in_flight > 0)) {
        status = turn(raw);
    }
    if (status != CKPT_OK) {
        return say(reason, status, "reading");
    }
    *seconds_out = seconds_since(start);
    *cpu_s_out = (double)(cpu_ns(raw) - cpu) / 1e9;
    return CKPT_OK;
}

enum ckpt_status raw_verify(const struct raw *raw)
{
    uint64_t segment_bytes = raw->options.segment_bytes;
    uint8_t *expected = buffer_make(segment_bytes);
    enum ckpt_status status = expected != NULL ? CKPT_OK : CKPT_ERR_MEMORY;
    for (uint32_t i = 0; i < raw->segments && status == CKPT_OK; i++) {
        uint64_t left = raw->options.bytes - i * segment_bytes;
        buffer_fill(expected, segment_bytes, RAW_SEED(i));
        if (memcmp(expected, raw->memory + i * segment_bytes,
                   left < segment_bytes ? left : segment_bytes) != 0) {
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
