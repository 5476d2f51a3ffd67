/* SPDX-License-Identifier: Apache-2.0 */
/* The other process of a raw read: exports memory and serves it until its standard input ends.
 * Started by raw.c, to which it prints "address HEX", and "region HEX" for each segment. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "buffer.h"
#include "case.h"
#include "raw.h"
#include "transport/transport.h"

enum key { KEY_TRANSPORT, KEY_BYTES, KEY_SEGMENT, KEY_COUNT };

static const struct config_key keys[KEY_COUNT] = {
    [KEY_TRANSPORT] = {.name = "transport",
                       .flag = "transport",
                       .type = CONFIG_STRING,
                       .fallback = "ucx:tcp",
                       .help = "the data plane"},
    [KEY_BYTES] = {.name = "bytes",
                   .flag = "bytes",
                   .type = CONFIG_BYTES,
                   .fallback = "64MiB",
                   .min = 1,
                   .max = INT64_C(1) << 40,
                   .help = "memory to export"},
    [KEY_SEGMENT] = {.name = "segment_bytes",
                     .flag = "segment-bytes",
                     .type = CONFIG_BYTES,
                     .fallback = "64MiB",
                     .min = CKPT_SEGMENT_BYTES_MIN,
                     .max = INT64_C(1) << 40,
                     .help = "of each region"},
};

static const struct config_program program = {
    .name = "ckptbench source",
    .version = CKPT_VERSION,
    .summary = "The source of a raw read; ckptbench starts it by itself.",
    .keys = keys,
    .key_count = KEY_COUNT,
};

static void print_hex(const char *word, const uint8_t *bytes, size_t count)
{
    printf("%s ", word);
    for (size_t i = 0; i < count; i++) {
        printf("%02x", bytes[i]);
    }
    putchar('\n');
}

static enum ckpt_status export_segment(struct transport *transport, uint8_t *memory, uint64_t bytes)
{
    struct transport_memory described = {
        .address = memory, .bytes = bytes, .generation = 1, .read_only = true};
    struct transport_region *region;
    uint8_t descriptor[CKPT_DESCRIPTOR_MAX];
    size_t descriptor_bytes;
    enum ckpt_status status = transport_register(transport, &described, &region);
    if (status == CKPT_OK) {
        status = transport_export(region, descriptor, &descriptor_bytes);
    }
    if (status == CKPT_OK) {
        print_hex("region", descriptor, descriptor_bytes);
    }
    return status;
}

static enum ckpt_status export_all(struct transport *transport, uint8_t *memory, uint64_t segments,
                                   uint64_t segment_bytes)
{
    uint8_t address[CKPT_WORKER_ADDRESS_MAX];
    size_t address_bytes;
    enum ckpt_status status = transport_address(transport, address, &address_bytes);
    if (status == CKPT_OK) {
        print_hex("address", address, address_bytes);
    }
    for (uint64_t i = 0; i < segments && status == CKPT_OK; i++) {
        buffer_fill(memory + i * segment_bytes, segment_bytes, RAW_SEED(i));
        status = export_segment(transport, memory + i * segment_bytes, segment_bytes);
    }
    fflush(stdout);
    return status;
}

static void serve(struct transport *transport)
{
    struct pollfd waiters[] = {{.fd = transport_event_fd(transport), .events = POLLIN},
                               {.fd = STDIN_FILENO, .events = POLLIN}};
    while (waiters[1].revents == 0) {
        struct transport_completion done[16];
        if (transport_progress(transport, done, 16) == 0 && transport_arm(transport)) {
            (void)poll(waiters, 2, -1);
        }
    }
}

static enum bench_exit run(int argc, char **argv)
{
    struct config *config;
    enum bench_exit code;
    struct transport *transport;
    if (!case_options(&program, argc, argv, &config, &code)) {
        return code;
    }
    uint64_t bytes = (uint64_t)config_number(config, KEY_BYTES);
    uint64_t segment_bytes = (uint64_t)config_number(config, KEY_SEGMENT);
    uint64_t segments = (bytes + segment_bytes - 1) / segment_bytes;
    uint8_t *memory = buffer_make_shared(segments * segment_bytes);
    enum ckpt_status status =
        memory != NULL ? transport_open(config_text(config, KEY_TRANSPORT), NULL, &transport)
                       : CKPT_ERR_MEMORY;
    if (status == CKPT_OK) {
        status = export_all(transport, memory, segments, segment_bytes);
        if (status == CKPT_OK) {
            serve(transport);
        }
        transport_close(transport, NULL, NULL);
    }
    if (status != CKPT_OK) {
        case_complain("source: %s", ckpt_status_text(status));
    }
    buffer_free(&memory, segments * segment_bytes);
    config_delete(&config);
    return status == CKPT_OK ? BENCH_OK : BENCH_FAILED;
}

const struct bench_case case_source = {.name = "source", .run = run};
