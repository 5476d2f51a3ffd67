/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "arena/arena.h"
#include "base/reason.h"

static const struct config_key keys[MACHINE_KEYS] = {
    [MACHINE_COPIES] = {.section = "agent",
                        .name = "copies",
                        .type = CONFIG_INTEGER,
                        .fallback = "2",
                        .min = 1,
                        .max = CKPT_COPIES_MAX,
                        .help =
                            "copies of each shard for runs that do not say, the owner's included"},
    [MACHINE_RANKS_MAX] = {.section = "agent",
                           .name = "ranks_max",
                           .type = CONFIG_INTEGER,
                           .fallback = "64",
                           .min = 1,
                           .max = 1024,
                           .help = "processes of one user served at once; a third as many more are "
                                   "for other users, and a few for root's hooks"},
    [MACHINE_PULLS_MAX] = {.section = "agent",
                           .name = "pulls_max",
                           .type = CONFIG_INTEGER,
                           .fallback = "4",
                           .min = 1,
                           .max = 64,
                           .help = "shards read from peers at once; more wait"},
    [MACHINE_RESEND] = {.section = "agent",
                        .name = "resend",
                        .type = CONFIG_DURATION,
                        .fallback = "500ms",
                        .min = 10,
                        .max = 60000,
                        .help = "a message without an answer is repeated after so long"},
    [MACHINE_PULL_TIMEOUT] = {.section = "agent",
                              .name = "pull_timeout",
                              .type = CONFIG_DURATION,
                              .fallback = "5s",
                              .min = 100,
                              .max = 600000,
                              .help = "a source that does not answer for so long is given up"},
    [MACHINE_LOAD_TIMEOUT] = {.section = "agent",
                              .name = "load_timeout",
                              .type = CONFIG_DURATION,
                              .fallback = "10min",
                              .min = 1000,
                              .max = 86400000,
                              .help = "a rank's load without a verdict for so long fails"},
    [MACHINE_SCRUB] = {.section = "scrub",
                       .name = "period",
                       .type = CONFIG_DURATION,
                       .fallback = "30min",
                       .max = 14 * 24 * 3600000U,
                       .help = "every held copy is proven again within so long; 0: it is not"},
};

static uint32_t number(const struct daemon *d, enum machine_key key)
{
    return (uint32_t)part_number(d->config, &part_machine, key);
}

static enum ckpt_status start(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    struct agent_config config;
    agent_config_default(&config);
    strcpy(config.node, d->node);
    strcpy(config.domain, d->domain);
    strcpy(config.address, d->address);
    config.segment_bytes = arena_segment_bytes(d->arena);
    config.segments = arena_segment_count(d->arena);
    config.locked = arena_is_locked(d->arena) ? ARENA_LOCKED_YES : ARENA_LOCKED_NO;
    config.closed = d->closed;
    config.has_tier = d->tier != NULL;
    config.slots = arena_slot_count(d->arena);
    config.parts = arena_part_count(d->arena);
    config.page_bytes = arena_page_bytes(d->arena);
    config.ranks_max = number(d, MACHINE_RANKS_MAX);
    config.pulls_max = number(d, MACHINE_PULLS_MAX);
    config.own_uid = (uint32_t)geteuid();
    config.copies_default = number(d, MACHINE_COPIES);
    config.resend_ms = number(d, MACHINE_RESEND);
    config.pull_timeout_ms = number(d, MACHINE_PULL_TIMEOUT);
    config.load_timeout_ms = number(d, MACHINE_LOAD_TIMEOUT);
    if (getrandom(&config.device_secret, sizeof config.device_secret, 0) !=
        sizeof config.device_secret) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM, "getrandom failed");
    }
    config.scrub_ms = number(d, MACHINE_SCRUB);
    size_t bytes = agent_memory_bytes(&config, reason);
    if (bytes == 0) {
        return CKPT_ERR_CONFIG;
    }
    bytes = (bytes + 63) & ~(size_t)63;
    d->machine_memory = aligned_alloc(64, bytes);
    d->update = calloc(1, sizeof *d->update);
    if (d->machine_memory == NULL || d->update == NULL) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "out of memory");
    }
    memset(d->machine_memory, 0, bytes);
    d->machine_bytes = bytes;
    uint64_t seed;
    memcpy(&seed, d->incarnation.bytes, sizeof seed);
    enum ckpt_status status =
        agent_init(d->machine_memory, bytes, &config, d->incarnation, seed, &d->machine);
    explicit_bzero(&config.device_secret, sizeof config.device_secret);
    return status;
}

static void stop(void *daemon)
{
    struct daemon *d = daemon;
    if (d->update != NULL) {
        explicit_bzero(d->update, sizeof *d->update); /* keys of digests have been in both */
    }
    if (d->machine_memory != NULL) {
        explicit_bzero(d->machine_memory, d->machine_bytes);
    }
    free(d->update);
    free(d->machine_memory);
}

struct part part_machine = {.keys = keys, .key_count = MACHINE_KEYS, .start = start, .stop = stop};
