/* SPDX-License-Identifier: Apache-2.0 */
/* One session of a source: started by raw.c or by `ckptbench serve`, with the control connection as
 * standard input. Exports what the client asks for and serves it until the client ends. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "case.h"
#include "base/reason.h"
#include "process/clock.h"
#include "raw/control.h"
#include "report/environment.h"
#include "options.h"
#include "raw/source.h"
#include "raw/spec.h"

/* Idle turns of a spinning source between two looks at the control connection. */
#define TURNS_A_LOOK 4096

enum key { KEY_TRANSPORT, KEY_DEVICES, KEY_LIMIT, KEY_COUNT };

static const struct config_key keys[KEY_COUNT] = {
    [KEY_TRANSPORT] = {.name = "transport",
                       .flag = "transport",
                       .type = CONFIG_STRING,
                       .help = "the data plane that clients may use"},
    [KEY_DEVICES] = {.name = "devices",
                     .flag = "devices",
                     .type = CONFIG_STRING,
                     .help = "its devices"},
    [KEY_LIMIT] = {.name = "bytes_max",
                   .flag = "bytes-max",
                   .type = CONFIG_BYTES,
                   .fallback = "1TiB",
                   .max = INT64_C(1) << 40,
                   .help = "the most memory that a client may ask for"},
};

static const struct config_program program = {
    .name = "ckptbench source",
    .version = CKPT_VERSION,
    .summary = "The source of a raw read; ckptbench starts it by itself.",
    .keys = keys,
    .key_count = KEY_COUNT,
};

/* What the client wants, after it was judged. */
struct wish {
    char transport[CONFIG_TEXT_MAX + 1];
    char devices[CONFIG_TEXT_MAX + 1];
    struct source_options options;
    bool spins;
};

static enum ckpt_status judge_version(const json_t *hello, char *reason)
{
    json_int_t theirs = json_integer_value(json_object_get(hello, "ckptbench"));
    if (theirs != CONTROL_VERSION) {
        return reason_refuse(
            reason, CKPT_ERR_VERSION,
            "the client's control protocol has version %" JSON_INTEGER_FORMAT
            ", the server's %d: run the same ckptbench on both (the server's is %s)",
            theirs, CONTROL_VERSION, CKPT_VERSION);
    }
    return CKPT_OK;
}

/* Devices have other names on another machine: what the server was given goes before what the
 * client says, as long as both mean the same kind of transport. */
static enum ckpt_status judge_transport(const json_t *hello, const struct config *config,
                                        struct wish *wish, char *reason)
{
    const char *theirs = json_string_value(json_object_get(hello, "transport"));
    const char *devices = json_string_value(json_object_get(hello, "devices"));
    const char *ours = config_text(config, KEY_TRANSPORT);
    if (theirs == NULL || strlen(theirs) > CONFIG_TEXT_MAX) {
        return reason_refuse(reason, CKPT_ERR_PROTOCOL, "no transport was asked for");
    }
    if (ours != NULL && !spec_same_kind(ours, theirs)) {
        return reason_refuse(
            reason, CKPT_ERR_CONFIG,
            "the client asks for transport %.60s, this server serves %.60s: give both the "
            "same --transport",
            theirs, ours);
    }
    if (config_text(config, KEY_DEVICES) != NULL) {
        devices = config_text(config, KEY_DEVICES);
    }
    snprintf(wish->transport, sizeof(wish->transport), "%s", ours != NULL ? ours : theirs);
    snprintf(wish->devices, sizeof(wish->devices), "%s", devices != NULL ? devices : "");
    wish->options.transport = wish->transport;
    wish->options.devices = wish->devices[0] != '\0' ? wish->devices : NULL;
    return spec_check(wish->transport, wish->options.devices, reason);
}

static enum ckpt_status judge_size(const json_t *hello, const struct config *config,
                                   struct wish *wish, char *reason)
{
    json_int_t bytes = json_integer_value(json_object_get(hello, "bytes"));
    json_int_t segment = json_integer_value(json_object_get(hello, "segment_bytes"));
    int64_t most = config_number(config, KEY_LIMIT);
    if (bytes < 1 || segment < 1 || segment > INT64_C(1) << 40) {
        return reason_refuse(reason, CKPT_ERR_PROTOCOL, "sizes are missing or out of range");
    }
    if (bytes > most || segment > most || (bytes + segment - 1) / segment * segment > most ||
        bytes / segment > CKPT_ARENA_SEGMENTS_MAX) {
        return reason_refuse(reason, CKPT_ERR_CONFIG,
                             "%" JSON_INTEGER_FORMAT " bytes in segments of %" JSON_INTEGER_FORMAT
                             " are more than this server gives: %" PRId64
                             " (--bytes-max), %d segments",
                             bytes, segment, most, CKPT_ARENA_SEGMENTS_MAX);
    }
    wish->options.bytes = (uint64_t)bytes;
    wish->options.segment_bytes = (uint64_t)segment;
    wish->spins = json_is_true(json_object_get(hello, "spin"));
    return CKPT_OK;
}

static enum ckpt_status judge_gpu(const json_t *hello, struct wish *wish, char *reason)
{
    const json_t *gpu = json_object_get(hello, "gpu");
    if (gpu == NULL || json_is_null(gpu)) {
        return CKPT_OK;
    }
    json_int_t index = json_integer_value(gpu);
    if (!json_is_integer(gpu) || index < 0 || index > OPTION_GPU_MAX) {
        return reason_refuse(reason, CKPT_ERR_PROTOCOL, "the index of a GPU is not one");
    }
    wish->options.is_gpu = true;
    wish->options.gpu = (uint32_t)index;
    return CKPT_OK;
}

static enum ckpt_status take_wish(struct control *control, const struct config *config,
                                  struct wish *wish, char *reason)
{
    json_t *hello;
    enum ckpt_status status = control_receive(control, &hello, reason);
    if (status != CKPT_OK) {
        return status;
    }
    status = judge_version(hello, reason);
    if (status == CKPT_OK) {
        status = judge_transport(hello, config, wish, reason);
    }
    if (status == CKPT_OK) {
        status = judge_size(hello, config, wish, reason);
    }
    if (status == CKPT_OK) {
        status = judge_gpu(hello, wish, reason);
    }
    json_decref(hello);
    return status;
}

static enum ckpt_status offer(struct control *control, const struct source *source,
                              const struct wish *wish)
{
    struct environment here;
    environment_read(&here);
    enum ckpt_status status = control_send(
        control, json_pack("{s:i, s:s, s:s, s:o, s:i, s:o, s:s?}", "ckptbench", CONTROL_VERSION,
                           "version", CKPT_VERSION, "transport", wish->transport, "address",
                           control_hex(source->address, source->address_bytes), "segments",
                           (int)source->segments, "environment", environment_json(&here), "gpu",
                           source->gpu != NULL ? gpu_memory_model(source->gpu) : NULL));
    for (uint32_t i = 0; i < source->segments && status == CKPT_OK; i++) {
        const struct source_region *region = &source->regions[i];
        status = control_send(
            control, json_pack("{s:o}", "region", control_hex(region->descriptor, region->bytes)));
    }
    return status;
}

/* What the client says in mid-session, *reading_out whether it reads from now on. CKPT_ERR_LINK: it
 * has ended, as clients do. */
static enum ckpt_status answer(struct control *control, bool *reading_out, char *reason)
{
    json_t *message;
    enum ckpt_status status = control_poll(control, &message, reason);
    if (status != CKPT_OK || message == NULL) {
        return status;
    }
    const char *ask = json_string_value(json_object_get(message, "ask"));
    if (ask != NULL && strcmp(ask, "cpu") == 0) {
        uint64_t used = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        *reading_out = json_is_true(json_object_get(message, "reading"));
        status = control_send(control, json_pack("{s:I}", "cpu_ns", (json_int_t)used));
    } else {
        reason_set(reason, "an unknown question");
        status = CKPT_ERR_PROTOCOL;
    }
    json_decref(message);
    return status;
}

static enum ckpt_status serve(struct control *control, struct transport *transport, bool spins,
                              char *reason)
{
    struct pollfd waiters[] = {{.fd = transport_event_fd(transport), .events = POLLIN},
                               {.fd = control_fd(control), .events = POLLIN}};
    enum ckpt_status status = CKPT_OK;
    uint32_t idle = 0;
    bool reading = false; /* between reads it sleeps in any case: others measure then */
    while (status == CKPT_OK) {
        struct transport_completion done[16];
        if (transport_progress(transport, done, 16) > 0) {
            continue;
        }
        bool looks = ++idle % TURNS_A_LOOK == 0;
        if (!(spins && reading) && transport_arm(transport)) {
            /* At least as often as it takes to see that the client is silent. */
            looks = poll(waiters, 2, 1000) == 0 || waiters[1].revents != 0;
        }
        if (looks) {
            status = answer(control, &reading, reason);
        }
    }
    return status;
}

static enum ckpt_status hold_session(struct control *control, const struct config *config,
                                     char *reason)
{
    struct source *source;
    struct wish *wish = calloc(1, sizeof(*wish));
    if (wish == NULL) {
        return CKPT_ERR_MEMORY;
    }
    enum ckpt_status status = take_wish(control, config, wish, reason);
    if (status == CKPT_OK) {
        status = source_open(&wish->options, &source, reason);
    }
    if (status != CKPT_OK) {
        control_refuse(control, status, reason);
        free(wish);
        return status;
    }
    status = offer(control, source, wish);
    if (status == CKPT_OK) {
        status = serve(control, source->transport, wish->spins, reason);
    }
    source_close(&source);
    free(wish);
    return status;
}

static enum bench_exit run(int argc, char **argv)
{
    struct config *config;
    enum bench_exit code;
    char reason[CKPT_REASON_MAX + 1] = "";
    if (!case_options(&program, argc, argv, &config, &code)) {
        return code;
    }
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    struct control *control = fd >= 0 ? control_open(fd) : NULL;
    enum ckpt_status status = CKPT_ERR_SYSTEM;
    if (control != NULL) {
        status = hold_session(control, config, reason);
    }
    if (status == CKPT_ERR_LINK) {
        status = CKPT_OK; /* the client ended, and nobody is left to be told anything */
    } else {
        printf("  %s\n", reason[0] != '\0' ? reason : ckpt_status_text(status));
    }
    control_close(&control);
    config_delete(&config);
    return status == CKPT_OK ? BENCH_OK : BENCH_FAILED;
}

const struct bench_case case_source = {.name = "source", .program = &program, .run = run};
