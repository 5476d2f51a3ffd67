/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/transport.h"

#include <dirent.h>
#include <string.h>

#include "base/log.h"
#include "ckptd/memory.h"
#include "ckptd/rails.h"
#include "mover/mover.h"

static const struct config_key rails_keys[RAILS_KEYS] = {
    [RAILS_SPEC] = {.section = "transport",
                    .name = "spec",
                    .flag = "transport",
                    .letter = 't',
                    .type = CONFIG_STRING,
                    .fallback = "ucx:tcp",
                    .help = "data plane: ucx, ucx:tcp, ucx:shm, ucx:rc, verbs (RDMA), auto "
                            "(verbs where it can be used, else ucx:tcp), "
                            "fault:KEY=VALUE,...:SPEC; the same on all agents"},
    [RAILS_DEVICES] = {.section = "transport",
                       .name = "devices",
                       .type = CONFIG_STRING,
                       .fallback_is = "all that fit",
                       .help = "network devices to use: lo, eth0, mlx5_0:1"},
    [RAILS_RAILS] = {.section = "transport",
                     .name = "rails",
                     .type = CONFIG_STRING,
                     .fallback = "auto",
                     .help = "RDMA ports: auto (all nearest to the memory, by the "
                             "topology), a list (mlx5_0+mlx5_1:2), or a map by memory "
                             "(numa0=mlx5_0, numa1=mlx5_1); ckptctl topology shows it"},
};

static const struct config_key transport_keys[TRANSPORT_KEYS] = {
    [TRANSPORT_TIMEOUT] = {.section = "transport",
                           .name = "timeout",
                           .type = CONFIG_DURATION,
                           .fallback = "5s",
                           .min = 100,
                           .max = 600000,
                           .help = "a read without an answer for so long fails"},
    [TRANSPORT_DEPTH] = {.section = "transport",
                         .name = "depth",
                         .type = CONFIG_INTEGER,
                         .fallback = "0",
                         .max = 4096,
                         .help = "slices in flight; 0: what the transport likes"},
    [TRANSPORT_SLICE_BYTES] = {.section = "transport",
                               .name = "slice_bytes",
                               .type = CONFIG_BYTES,
                               .fallback = "0",
                               .max = 1 << 30,
                               .help = "bytes of one read; 0: what the transport likes"},
    [TRANSPORT_TRAFFIC_CLASS] = {.section = "transport",
                                 .name = "traffic_class",
                                 .type = CONFIG_INTEGER,
                                 .fallback = "0",
                                 .max = 255,
                                 .help = "of RDMA packets: DSCP * 4 (106 for DSCP 26 with "
                                         "ECN); 0: the device's own"},
    [TRANSPORT_SERVICE_LEVEL] = {.section = "transport",
                                 .name = "service_level",
                                 .type = CONFIG_INTEGER,
                                 .fallback = "0",
                                 .max = 15,
                                 .help = "of RDMA packets: the priority of RoCE in a VLAN"},
    [TRANSPORT_SPIN] = {.section = "transport",
                        .name = "spin_us",
                        .type = CONFIG_INTEGER,
                        .fallback = "100",
                        .min = 1,
                        .max = 1000000,
                        .help = "microseconds the RDMA poller looks again after the last "
                                "completion, with reads in flight, before it sleeps"},
    [TRANSPORT_ALLOW_SLOW] = {.section = "transport",
                              .name = "allow_slow",
                              .type = CONFIG_BOOL,
                              .fallback = "false",
                              .help = "take new shards also when spec is auto, RDMA devices are "
                                      "there, and none of them can be used"},
};

/* ---- the rails ---- */

static enum ckpt_status check(const struct config *config, char *reason)
{
    const char *spec = part_text(config, &part_rails, RAILS_SPEC);
    return strcmp(spec, "auto") == 0 || transport_spec_check(spec) == CKPT_OK
               ? CKPT_OK
               : part_refuse(config, &part_rails, RAILS_SPEC, reason, transport_open_error());
}

static enum ckpt_status choose(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    int nodes[ARENA_NODES_MAX];
    size_t node_count = 0;
    enum ckpt_status status = memory_numa_nodes(d->config, nodes, &node_count, reason);
    if (status != CKPT_OK) {
        return status;
    }
    struct rails_wish wish = {
        .spec = part_text(d->config, &part_rails, RAILS_SPEC),
        .devices = part_text(d->config, &part_rails, RAILS_DEVICES),
        .rails = part_text(d->config, &part_rails, RAILS_RAILS),
        .arena_nodes = nodes,
        .arena_count = (uint32_t)node_count,
    };
    status = rails_choose(&wish, &d->rails, reason);
    if (status == CKPT_OK && node_count > 0) {
        /* In the configuration's order, those that the topology does not know as well. */
        memcpy(d->rails.arena_nodes, nodes, node_count * sizeof nodes[0]);
        d->rails.arena_count = (uint32_t)node_count;
    }
    return status;
}

struct part part_rails = {
    .keys = rails_keys, .key_count = RAILS_KEYS, .check = check, .start = choose};

/* ---- the transport ---- */

static uint64_t number(const struct daemon *d, enum transport_key key)
{
    return (uint64_t)part_number(d->config, &part_transport, key);
}

static bool has_rdma_device(void)
{
    DIR *directory = opendir("/sys/class/infiniband");
    bool found = false;
    for (struct dirent *entry; directory != NULL && !found && (entry = readdir(directory));) {
        found = entry->d_name[0] != '.';
    }
    if (directory != NULL) {
        closedir(directory);
    }
    return found;
}

/* Nobody finds out in the middle of the night that shards have gone by something slow. */
static void judge(struct daemon *d)
{
    const char *spec = mover_transport(d->mover);
    const char *fell = mover_fell(d->mover);
    bool is_tcp = strncmp(spec, "ucx:tcp", strlen("ucx:tcp")) == 0;
    if (!is_tcp || !has_rdma_device()) {
        return;
    }
    if (fell == NULL) {
        log_event(EVENT_transport_not_rdma, "spec=%s", spec);
    } else if (number(d, TRANSPORT_ALLOW_SLOW) == 0) {
        log_event(EVENT_transport_slow, "spec=%s wanted=%s reason=%s", spec, d->rails.spec,
                  LOG_QUOTED(fell));
        d->closed = AGENT_CLOSED_SLOW;
    }
}

static enum ckpt_status start(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    struct mover_options options = {
        .rails = &d->rails,
        .devices = part_text(d->config, &part_rails, RAILS_DEVICES),
        .timeout_ms = (uint32_t)number(d, TRANSPORT_TIMEOUT),
        .depth = (uint32_t)number(d, TRANSPORT_DEPTH),
        .slice_bytes = number(d, TRANSPORT_SLICE_BYTES),
        .spin_us = (uint32_t)number(d, TRANSPORT_SPIN),
        .traffic_class = (uint8_t)number(d, TRANSPORT_TRAFFIC_CLASS),
        .service_level = (uint8_t)number(d, TRANSPORT_SERVICE_LEVEL),
        .segment_bytes = memory_segment_bytes(d->config),
        .segment_count = memory_segments(d->config),
    };
    arena_limits_raise(); /* what a transport pins is counted, too */
    enum ckpt_status status = mover_open(&options, &d->mover, reason);
    if (status == CKPT_OK) {
        log_event(EVENT_transport_open, "spec=%s digest=%s ucx=%s", mover_transport(d->mover),
                  digest_engine_name(d->engine), transport_ucx_version());
        judge(d);
    }
    return status;
}

static void stop(void *daemon)
{
    struct daemon *d = daemon;
    mover_stop(&d->mover);
}

struct part part_transport = {
    .keys = transport_keys, .key_count = TRANSPORT_KEYS, .start = start, .stop = stop};
