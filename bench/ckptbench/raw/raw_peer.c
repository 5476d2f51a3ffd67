/* SPDX-License-Identifier: Apache-2.0 */
#include "raw/raw_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/reason.h"
#include "process/belongings.h"
#include "raw/control.h"
#include "process/self.h"
#include "raw/control_socket.h"
#include "raw/spec.h"

#define EXPLAIN_MS 300

struct raw_peer {
    struct source *here; /* both ends are in this process */
    struct control *control;
    pid_t process; /* that was started; -1: none */
    json_t *environment;
    char *gpu_model;
    size_t address_bytes;
    uint8_t address[CKPT_WORKER_ADDRESS_MAX];
    uint32_t segments;
    struct source_region *regions;
};

static enum ckpt_status say(char *reason, enum ckpt_status status, const char *what)
{
    return reason_refuse(reason, status, "the other end: %s: %s", what, ckpt_status_text(status));
}

/* Returns our end of its control connection, or -1. */
static int start_process(struct raw_peer *peer, char *reason)
{
    char path[PATH_MAX];
    char *argv[] = {"ckptbench", "source", NULL};
    int ends[2];
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null < 0 || !self_path(path, sizeof(path)) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        say(reason, CKPT_ERR_SYSTEM, strerror(errno));
        if (null >= 0) {
            close(null);
        }
        return -1;
    }
    peer->process = belongings_start(path, argv, ends[1], null, -1);
    close(ends[1]);
    close(null);
    if (peer->process < 0) {
        say(reason, CKPT_ERR_SYSTEM, "starting it");
        close(ends[0]);
        return -1;
    }
    return ends[0];
}

static enum ckpt_status greet(struct raw_peer *peer, const struct raw_peer_options *options,
                              char *reason)
{
    const struct source_options *source = &options->source;
    int fd = options->connect != NULL ? control_connect(options->connect, reason)
                                      : start_process(peer, reason);
    if (fd < 0) {
        return CKPT_ERR_LINK;
    }
    peer->control = control_open(fd);
    if (peer->control == NULL) {
        return say(reason, CKPT_ERR_MEMORY, "control connection");
    }
    json_t *hello = json_pack(
        "{s:i, s:s, s:s, s:s?, s:I, s:I, s:b, s:o}", "ckptbench", CONTROL_VERSION, "version",
        CKPT_VERSION, "transport", source->transport, "devices", source->devices, "bytes",
        (json_int_t)source->bytes, "segment_bytes", (json_int_t)source->segment_bytes, "spin",
        options->spins, "gpu", source->is_gpu ? json_integer(source->gpu) : json_null());
    enum ckpt_status status = control_send(peer->control, hello);
    return status == CKPT_OK ? CKPT_OK : say(reason, status, "first words");
}

enum ckpt_status raw_peer_open(const struct raw_peer_options *options, struct raw_peer **peer_out,
                               char *reason)
{
    struct raw_peer *peer = calloc(1, sizeof(*peer));
    if (peer == NULL) {
        return say(reason, CKPT_ERR_MEMORY, "starting");
    }
    peer->process = -1;
    enum ckpt_status status;
    if (options->connect == NULL && spec_is_local(options->source.transport)) {
        status = source_open(&options->source, &peer->here, reason);
    } else {
        status = greet(peer, options, reason);
    }
    if (status != CKPT_OK) {
        raw_peer_close(&peer);
        return status;
    }
    *peer_out = peer;
    return CKPT_OK;
}

void raw_peer_close(struct raw_peer **peer)
{
    struct raw_peer *p = *peer;
    if (p == NULL) {
        return;
    }
    source_close(&p->here);
    control_close(&p->control); /* the other end ends by it */
    if (p->process > 0) {
        belongings_wait(p->process, NULL);
    }
    json_decref(p->environment);
    free(p->gpu_model);
    free(p->regions);
    free(p);
    *peer = NULL;
}

static enum ckpt_status judge_offer(struct raw_peer *peer, const json_t *offer, uint32_t segments,
                                    char *reason)
{
    json_int_t version = json_integer_value(json_object_get(offer, "ckptbench"));
    if (version != CONTROL_VERSION) {
        return reason_refuse(reason, CKPT_ERR_VERSION,
                             "the server's control protocol has version %" JSON_INTEGER_FORMAT
                             ", ours %d: run the same ckptbench on both (ours is %s)",
                             version, CONTROL_VERSION, CKPT_VERSION);
    }
    peer->address_bytes =
        control_unhex(json_object_get(offer, "address"), peer->address, sizeof(peer->address));
    if (peer->address_bytes == 0 ||
        json_integer_value(json_object_get(offer, "segments")) != (json_int_t)segments) {
        return say(reason, CKPT_ERR_PROTOCOL, "its offer");
    }
    peer->environment = json_incref(json_object_get(offer, "environment"));
    const char *gpu = json_string_value(json_object_get(offer, "gpu"));
    peer->gpu_model = gpu != NULL ? strdup(gpu) : NULL;
    return CKPT_OK;
}

static enum ckpt_status take_region(struct raw_peer *peer, struct source_region *region,
                                    char *reason)
{
    json_t *message;
    enum ckpt_status status = control_receive(peer->control, &message, reason);
    if (status != CKPT_OK) {
        return status;
    }
    region->bytes = control_unhex(json_object_get(message, "region"), region->descriptor,
                                  sizeof(region->descriptor));
    json_decref(message);
    return region->bytes > 0 ? CKPT_OK : say(reason, CKPT_ERR_PROTOCOL, "a region");
}

enum ckpt_status raw_peer_ready(struct raw_peer *peer, uint32_t segments, char *reason)
{
    json_t *offer;
    if (peer->here != NULL) {
        return CKPT_OK;
    }
    peer->regions = calloc(segments, sizeof(*peer->regions));
    if (peer->regions == NULL) {
        return say(reason, CKPT_ERR_MEMORY, "starting");
    }
    enum ckpt_status status = control_receive(peer->control, &offer, reason);
    if (status != CKPT_OK) {
        return status;
    }
    status = judge_offer(peer, offer, segments, reason);
    json_decref(offer);
    for (uint32_t i = 0; i < segments && status == CKPT_OK; i++) {
        status = take_region(peer, &peer->regions[i], reason);
    }
    return status;
}

const uint8_t *raw_peer_address(const struct raw_peer *peer, size_t *bytes_out)
{
    *bytes_out = peer->here != NULL ? peer->here->address_bytes : peer->address_bytes;
    return peer->here != NULL ? peer->here->address : peer->address;
}

const struct source_region *raw_peer_region(const struct raw_peer *peer, uint32_t segment)
{
    return peer->here != NULL ? &peer->here->regions[segment] : &peer->regions[segment];
}

enum ckpt_status raw_peer_cpu_ns(struct raw_peer *peer, bool reading, uint64_t *ns_out,
                                 char *reason)
{
    json_t *message;
    if (peer->here != NULL) {
        *ns_out = 0;
        return CKPT_OK;
    }
    enum ckpt_status status =
        control_send(peer->control, json_pack("{s:s, s:b}", "ask", "cpu", "reading", reading));
    if (status != CKPT_OK) {
        return raw_peer_explain(peer, status, reason);
    }
    status = control_receive(peer->control, &message, reason);
    if (status != CKPT_OK) {
        return status;
    }
    const json_t *ns = json_object_get(message, "cpu_ns");
    status = json_is_integer(ns) ? CKPT_OK : say(reason, CKPT_ERR_PROTOCOL, "an answer");
    *ns_out = (uint64_t)json_integer_value(ns);
    json_decref(message);
    return status;
}

enum ckpt_status raw_peer_explain(struct raw_peer *peer, enum ckpt_status status, char *reason)
{
    json_t *message = NULL;
    if (peer->control != NULL) {
        /* The end of a process is seen on one connection before it is seen on the other. */
        struct pollfd waiter = {.fd = control_fd(peer->control), .events = POLLIN};
        (void)poll(&waiter, 1, EXPLAIN_MS);
        enum ckpt_status theirs = control_poll(peer->control, &message, reason);
        json_decref(message);
        if (theirs != CKPT_OK) {
            return theirs;
        }
    }
    return say(reason, status, "reading");
}

const char *raw_peer_gpu_model(const struct raw_peer *peer)
{
    return peer->gpu_model;
}

const json_t *raw_peer_environment_of(const struct raw_peer *peer)
{
    return peer->environment;
}
