/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/memory.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/reason.h"
#include "ckptd/fits.h"
#include "ckptd/identity.h"
#include "ckptd/life.h"
#include "ckptd/machine.h"
#include "ckptd/shortage.h"

/* Shards held at once, and parts of segments: one for every MiB of the arena, each of which takes
 * 8 KiB of its index. */
#define SLOTS_MAX 2048
#define SLOT_EVERY_BYTES CKPT_MIB

static const char *const huge_pages[] = {"auto", "require", "never", NULL};
static const char *const locks[] = {"require", "try", "off", NULL};

static const struct config_key keys[MEMORY_KEYS] = {
    [MEMORY_DIRECTORY] = {.section = "arena",
                          .name = "directory",
                          .type = CONFIG_PATH,
                          .fallback_is = "ckptd-NODE in hugetlbfs or /dev/shm",
                          .help = "where the segments lie; its parent must exist"},
    [MEMORY_BYTES] = {.section = "arena",
                      .name = "bytes",
                      .letter = 'b',
                      .type = CONFIG_BYTES,
                      .fallback = "4GiB",
                      .min = 2 << 20,
                      .max = INT64_C(1) << 50,
                      .help = "pinned memory; rounded down to whole segments"},
    [MEMORY_SEGMENT_BYTES] = {.section = "arena",
                              .name = "segment_bytes",
                              .type = CONFIG_BYTES,
                              .fallback = "256MiB",
                              .min = 2 << 20,
                              .max = INT64_C(1) << 40,
                              .help = "size of one segment, a multiple of 2 MiB"},
    [MEMORY_HUGE_PAGES] = {.section = "arena",
                           .name = "huge_pages",
                           .type = CONFIG_ENUM,
                           .choices = huge_pages,
                           .fallback = "auto",
                           .help = "whether segments lie in hugetlbfs; for huge pages of tmpfs "
                                   "mount it with huge=within_size or huge=advise"},
    [MEMORY_LOCK] = {.section = "arena",
                     .name = "lock",
                     .type = CONFIG_ENUM,
                     .choices = locks,
                     .fallback = "try",
                     .help = "whether segments are locked into memory (mlock)"},
    [MEMORY_NUMA_NODES] = {.section = "arena",
                           .name = "numa_nodes",
                           .type = CONFIG_LIST,
                           .help = "NUMA nodes to spread the segments over; empty: do not bind"},
    [MEMORY_PREFAULT_THREADS] = {.section = "arena",
                                 .name = "prefault_threads",
                                 .type = CONFIG_INTEGER,
                                 .fallback = "0",
                                 .max = 256,
                                 .help = "threads that fault the arena in; 0: one a core"},
};

/* ---- what is asked for ---- */

static int64_t number(const struct config *config, enum memory_key key)
{
    return part_number(config, &part_memory, key);
}

uint64_t memory_segment_bytes(const struct config *config)
{
    return (uint64_t)number(config, MEMORY_SEGMENT_BYTES);
}

uint32_t memory_segments(const struct config *config)
{
    return (uint32_t)((uint64_t)number(config, MEMORY_BYTES) / memory_segment_bytes(config));
}

enum ckpt_status memory_numa_nodes(const struct config *config, int nodes_out[ARENA_NODES_MAX],
                                   size_t *count_out, char *reason)
{
    size_t count = config_list_count(config, part_key(&part_memory, MEMORY_NUMA_NODES));
    if (count > ARENA_NODES_MAX) {
        return part_refuse(config, &part_memory, MEMORY_NUMA_NODES, reason,
                           "more nodes than can be bound to");
    }
    for (size_t i = 0; i < count; i++) {
        const char *text = config_list_at(config, part_key(&part_memory, MEMORY_NUMA_NODES), i);
        char *end;
        long node = strtol(text, &end, 10);
        if (end == text || *end != '\0' || node < 0 || node > INT_MAX) {
            return part_refuse(config, &part_memory, MEMORY_NUMA_NODES, reason,
                               "must be numbers of NUMA nodes, with commas");
        }
        nodes_out[i] = (int)node;
    }
    *count_out = count;
    return CKPT_OK;
}

/* The default directory is named after the node. */
static enum ckpt_status check_directory(const struct config *config, char *reason)
{
    const char *node = part_text(config, &part_identity, IDENTITY_NODE);
    if (node == NULL || strchr(node, '/') == NULL ||
        part_is_set(config, &part_memory, MEMORY_DIRECTORY)) {
        return CKPT_OK;
    }
    return part_refuse(config, &part_identity, IDENTITY_NODE, reason,
                       "with a / in it, [arena] directory must be set: it is named after the node "
                       "otherwise");
}

static enum ckpt_status check_bytes(const struct config *config, char *reason)
{
    char bytes_said[CONFIG_SAID_SIZE];
    char segment_said[CONFIG_SAID_SIZE];
    uint64_t segment_bytes = memory_segment_bytes(config);
    uint64_t segments = (uint64_t)number(config, MEMORY_BYTES) / segment_bytes;
    if (segment_bytes % (2 * CKPT_MIB) != 0) {
        return part_refuse(config, &part_memory, MEMORY_SEGMENT_BYTES, reason,
                           "must be a multiple of 2MiB");
    }
    const char *wrong = segments < 1                         ? "is less than"
                        : segments > CKPT_ARENA_SEGMENTS_MAX ? "is more than 4096 times"
                                                             : NULL;
    _Static_assert(CKPT_ARENA_SEGMENTS_MAX == 4096, "as it says");
    if (wrong == NULL) {
        return CKPT_OK;
    }
    config_say(config, part_key(&part_memory, MEMORY_BYTES), bytes_said);
    config_say(config, part_key(&part_memory, MEMORY_SEGMENT_BYTES), segment_said);
    return reason_refuse(reason, CKPT_ERR_CONFIG, "%.110s: %s %.110s", bytes_said, wrong,
                         segment_said);
}

static enum ckpt_status check(const struct config *config, char *reason)
{
    int nodes[ARENA_NODES_MAX];
    size_t count;
    enum ckpt_status status = check_directory(config, reason);
    if (status == CKPT_OK) {
        status = check_bytes(config, reason);
    }
    return status == CKPT_OK ? memory_numa_nodes(config, nodes, &count, reason) : status;
}

/* ---- the arena ---- */

static void progress(void *context, const struct arena_progress *done)
{
    (void)context;
    if (done->segments_done == done->segment_count ||
        done->segments_done * 4 / done->segment_count !=
            (done->segments_done - 1) * 4 / done->segment_count) {
        log_event(EVENT_arena_progress, "segments=%u of=%u", done->segments_done,
                  done->segment_count);
    }
}

static struct arena_options options_of(const struct daemon *d)
{
    const struct config *config = d->config;
    uint64_t slots = memory_segments(config) * memory_segment_bytes(config) / SLOT_EVERY_BYTES;
    slots = slots < SLOTS_MAX ? slots : SLOTS_MAX;
    return (struct arena_options){
        .directory = part_text(config, &part_memory, MEMORY_DIRECTORY),
        .node_name = d->node,
        .segment_bytes = memory_segment_bytes(config),
        .segment_count = memory_segments(config),
        .slot_count = (uint32_t)slots,
        .part_count = (uint32_t)slots,
        .nodes = d->rails.arena_count > 0 ? d->rails.arena_nodes : NULL,
        .node_count = d->rails.arena_count,
        .lock = number(config, MEMORY_LOCK) == 0   ? ARENA_LOCK_REQUIRED
                : number(config, MEMORY_LOCK) == 1 ? ARENA_LOCK_TRY
                                                   : ARENA_LOCK_OFF,
        .huge_pages = (enum arena_huge_pages)number(config, MEMORY_HUGE_PAGES),
        .prefault_threads = (uint32_t)number(config, MEMORY_PREFAULT_THREADS),
        .progress = progress,
        .is_stopped = life_is_stopped,
    };
}

static enum ckpt_status refuse(const struct arena_options *options, enum ckpt_status status,
                               const char *why, char *reason)
{
    int used = snprintf(reason, PART_REASON_BYTES, "arena: %.*s", PART_REASON_BYTES / 2, why);
    if (status == CKPT_ERR_MEMORY) {
        shortage_explain(options, reason + used, (size_t)(PART_REASON_BYTES - used));
    }
    return status;
}

static void tell(const struct daemon *d, enum arena_lock lock)
{
    char fits[FITS_TEXT_BYTES];
    const struct arena *arena = d->arena;
    struct room_kind kind = {.segment_bytes = arena_segment_bytes(arena),
                             .page_bytes = arena_page_bytes(arena)};
    fits_text(&kind, arena_segment_count(arena),
              (uint32_t)part_number(d->config, &part_machine, MACHINE_COPIES), fits);
    log_event(EVENT_arena_open,
              "directory=%s segments=%u segment_bytes=%llu page_bytes=%llu locked=%s fits=%s",
              arena_directory(arena), arena_segment_count(arena),
              (unsigned long long)arena_segment_bytes(arena),
              (unsigned long long)arena_page_bytes(arena), arena_is_locked(arena) ? "yes" : "no",
              LOG_QUOTED(fits));
    if (!arena_is_locked(arena)) {
        log_event(EVENT_arena_not_locked, "directory=%s setting=%s text=%s", arena_directory(arena),
                  part_text(d->config, &part_memory, MEMORY_LOCK),
                  lock == ARENA_LOCK_OFF ? "\"it may be swapped out, as [arena] lock = off allows\""
                                         : "\"it may be swapped out: raise the memory lock limit "
                                           "(LimitMEMLOCK=infinity in the unit, ulimit -l)\"");
    }
    if (!arena_keeps_values(arena)) {
        log_event(EVENT_values_not_kept, "directory=%s", arena_directory(arena));
    }
}

static enum ckpt_status start(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    char why[ARENA_REASON_BYTES];
    struct arena_options options = options_of(d);
    enum ckpt_status status = arena_guard_install();
    if (status == CKPT_OK) {
        status = arena_open(&options, &d->arena, why);
    }
    if (status != CKPT_OK) {
        return refuse(&options, status, why, reason);
    }
    tell(d, options.lock);
    return CKPT_OK;
}

static void stop(void *daemon)
{
    struct daemon *d = daemon;
    if (d->is_started) {
        arena_close(&d->arena);
    } else {
        arena_discard(&d->arena);
    }
}

struct part part_memory = {
    .keys = keys, .key_count = MEMORY_KEYS, .check = check, .start = start, .stop = stop};
