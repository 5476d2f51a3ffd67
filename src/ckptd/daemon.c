/* SPDX-License-Identifier: Apache-2.0 */
/* Making everything in order, one turn of the machine, ending everything in reverse. */
#include "ckptd/daemon.h"

#include <assert.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "ckptd/fits.h"
#include "ckptd/options.h"
#include "ckptd/shortage.h"
#include "session/notify.h"
#include "session/signals.h"
#include "session/watchdog.h"
#include "transport/transport.h"

/* An offer of the largest shard fits: 1024 regions with their descriptors. */
#define RECEIVE_BYTES_MAX (1 * CKPT_MIB)
#define OUTPUT_BYTES_MAX (8 * CKPT_MIB)
#define OUTPUT_TOTAL_MAX (32 * CKPT_MIB)
#define SESSIONS_BESIDE_RANKS 128 /* of a coordinator, and to sources of pulls */
#define LATE_SLACK_MS 50          /* less is no stall but the way of a busy machine */
/* Shards held at once, and parts of segments: one for every MiB of the arena, each of which takes
 * 8 KiB of its index. */
#define SLOTS_MAX 2048
#define SLOT_EVERY_BYTES CKPT_MIB

uint64_t daemon_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- a turn ---- */

static void arm(struct daemon *d, uint64_t deadline_ms)
{
    if (deadline_ms == UINT64_MAX) {
        event_del(d->deadline_event);
        return;
    }
    uint64_t now = daemon_now_ms();
    uint64_t wait = deadline_ms > now ? deadline_ms - now : 0;
    struct timeval pause = {.tv_sec = (time_t)(wait / 1000),
                            .tv_usec = (suseconds_t)(wait % 1000) * 1000};
    event_add(d->deadline_event, &pause);
}

/* Links are noted during a turn and only then spoken to, so a turn never runs inside another. */
void daemon_event(struct daemon *d, struct agent_event *event)
{
    do {
        event->now_ms = daemon_now_ms();
        event->late_ms = lateness_take(&d->lateness, event->now_ms, LATE_SLACK_MS);
        struct transport_rails rails =
            d->mover != NULL ? mover_rails(d->mover) : (struct transport_rails){0, 0};
        event->rails = rails.total;
        event->rails_up = rails.up;
        d->event_message = event->message;
        enum ckpt_status status = agent_advance(d->machine, event, d->update);
        assert(status == CKPT_OK);
        (void)status;
        act_on_update(d, d->update);
        d->event_message = NULL;
        *event = (struct agent_event){.type = AGENT_TICK};
    } while (d->update->again && !d->is_broken);
    lateness_due(&d->lateness, d->update->deadline_ms);
    if (d->base != NULL) {
        arm(d, d->update->deadline_ms);
    }
    if (d->is_broken && d->base != NULL) {
        event_base_loopbreak(d->base);
    }
}

/* ---- the parts ---- */

static enum ckpt_status identify(struct daemon *d, char *reason)
{
    strcpy(d->node, config_text(d->config, OPTION_NODE));
    strcpy(d->domain, config_text(d->config, OPTION_DOMAIN));
    if (getrandom(&d->incarnation, sizeof d->incarnation, 0) != sizeof d->incarnation) {
        snprintf(reason, CKPT_REASON_MAX + 1, "getrandom failed");
        return CKPT_ERR_SYSTEM;
    }
    return CKPT_OK;
}

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

static enum ckpt_status choose_rails(struct daemon *d, char *reason)
{
    int nodes[ARENA_NODES_MAX];
    size_t node_count = 0;
    enum ckpt_status status = options_numa_nodes(d->config, nodes, &node_count, reason);
    if (status != CKPT_OK) {
        return status;
    }
    struct rails_wish wish = {
        .spec = config_text(d->config, OPTION_TRANSPORT),
        .devices = config_text(d->config, OPTION_TRANSPORT_DEVICES),
        .rails = config_text(d->config, OPTION_TRANSPORT_RAILS),
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

static enum ckpt_status open_arena(struct daemon *d, char *reason)
{
    const struct config *config = d->config;
    char why[ARENA_REASON_BYTES];
    uint64_t bytes = (uint64_t)config_number(config, OPTION_ARENA_BYTES);
    uint64_t segment_bytes = (uint64_t)config_number(config, OPTION_ARENA_SEGMENT_BYTES);
    uint64_t segments = bytes / segment_bytes;
    uint64_t slots = segments * segment_bytes / SLOT_EVERY_BYTES;
    slots = slots < SLOTS_MAX ? slots : SLOTS_MAX;
    struct arena_options options = {
        .directory = config_text(config, OPTION_ARENA_DIRECTORY),
        .node_name = d->node,
        .segment_bytes = segment_bytes,
        .segment_count = (uint32_t)segments,
        .slot_count = (uint32_t)slots,
        .part_count = (uint32_t)slots,
        .nodes = d->rails.arena_count > 0 ? d->rails.arena_nodes : NULL,
        .node_count = d->rails.arena_count,
        .lock = config_number(config, OPTION_ARENA_LOCK) == 0   ? ARENA_LOCK_REQUIRED
                : config_number(config, OPTION_ARENA_LOCK) == 1 ? ARENA_LOCK_TRY
                                                                : ARENA_LOCK_OFF,
        .huge_pages = (enum arena_huge_pages)config_number(config, OPTION_ARENA_HUGE_PAGES),
        .prefault_threads = (uint32_t)config_number(config, OPTION_ARENA_PREFAULT_THREADS),
        .progress = progress,
        .is_stopped = life_is_stopped,
    };
    enum ckpt_status status = arena_guard_install();
    if (status == CKPT_OK) {
        status = arena_open(&options, &d->arena, why);
    }
    if (status != CKPT_OK) {
        int used =
            snprintf(reason, DAEMON_REASON_BYTES, "arena: %.*s", DAEMON_REASON_BYTES / 2, why);
        if (status == CKPT_ERR_MEMORY) {
            shortage_explain(&options, reason + used, (size_t)(DAEMON_REASON_BYTES - used));
        }
        return status;
    }
    char fits[FITS_TEXT_BYTES];
    struct room_kind kind = {.segment_bytes = segment_bytes,
                             .page_bytes = arena_page_bytes(d->arena)};
    fits_text(&kind, arena_segment_count(d->arena), (uint32_t)config_number(config, OPTION_COPIES),
              fits);
    log_event(EVENT_arena_open,
              "directory=%s segments=%u segment_bytes=%llu page_bytes=%llu locked=%s fits=%s",
              arena_directory(d->arena), arena_segment_count(d->arena),
              (unsigned long long)arena_segment_bytes(d->arena),
              (unsigned long long)arena_page_bytes(d->arena),
              arena_is_locked(d->arena) ? "yes" : "no", LOG_QUOTED(fits));
    if (!arena_is_locked(d->arena)) {
        log_event(EVENT_arena_not_locked, "directory=%s setting=%s text=%s",
                  arena_directory(d->arena), config_text(config, OPTION_ARENA_LOCK),
                  options.lock == ARENA_LOCK_OFF
                      ? "\"it may be swapped out, as [arena] lock = off allows\""
                      : "\"it may be swapped out: raise the memory lock limit "
                        "(LimitMEMLOCK=infinity in the unit, ulimit -l)\"");
    }
    return CKPT_OK;
}

static enum ckpt_status make_workers(struct daemon *d, char *reason)
{
    const struct config *config = d->config;
    const char *engine = config_text(config, OPTION_DIGEST_ENGINE);
    enum ckpt_status status =
        digest_engine_select(strcmp(engine, "auto") == 0 ? NULL : engine, &d->engine);
    if (status != CKPT_OK) {
        snprintf(reason, CKPT_REASON_MAX + 1, "[digest] engine %s can't run on this CPU", engine);
        return status;
    }
    status = completions_make(&d->completions);
    if (status == CKPT_OK) {
        status = digester_start((uint32_t)config_number(config, OPTION_DIGEST_THREADS),
                                (int)config_number(config, OPTION_DIGEST_NICE),
                                &d->rails.digest_cpus, &d->digester);
    }
    if (status != CKPT_OK) {
        snprintf(reason, CKPT_REASON_MAX + 1, "the digest threads can't be started");
    }
    return status;
}

static enum ckpt_status open_transport(struct daemon *d, char *reason)
{
    const struct config *config = d->config;
    uint64_t segment_bytes = (uint64_t)config_number(config, OPTION_ARENA_SEGMENT_BYTES);
    struct mover_options options = {
        .rails = &d->rails,
        .devices = config_text(config, OPTION_TRANSPORT_DEVICES),
        .timeout_ms = (uint32_t)config_number(config, OPTION_TRANSPORT_TIMEOUT),
        .depth = (uint32_t)config_number(config, OPTION_TRANSPORT_DEPTH),
        .slice_bytes = (uint64_t)config_number(config, OPTION_TRANSPORT_SLICE_BYTES),
        .spin_us = (uint32_t)config_number(config, OPTION_TRANSPORT_SPIN),
        .traffic_class = (uint8_t)config_number(config, OPTION_TRANSPORT_TRAFFIC_CLASS),
        .service_level = (uint8_t)config_number(config, OPTION_TRANSPORT_SERVICE_LEVEL),
        .segment_bytes = segment_bytes,
        .segment_count =
            (uint32_t)((uint64_t)config_number(config, OPTION_ARENA_BYTES) / segment_bytes),
    };
    arena_limits_raise(); /* what a transport pins is counted, too */
    enum ckpt_status status = mover_open(&options, d->digester, d->completions, &d->mover, reason);
    if (status == CKPT_OK) {
        log_event(EVENT_transport_open, "spec=%s digest=%s ucx=%s", mover_transport(d->mover),
                  digest_engine_name(d->engine), transport_ucx_version());
    }
    return status;
}

static enum ckpt_status register_arena(struct daemon *d, char *reason)
{
    enum ckpt_status status = mover_start(d->mover, d->arena, reason);
    if (status == CKPT_OK) {
        status = arena_guard_install(); /* UCX has put its own handler in front */
    }
    return status;
}

static enum ckpt_status make_machine(struct daemon *d, char *reason)
{
    struct agent_config config;
    agent_config_default(&config);
    strcpy(config.node, d->node);
    strcpy(config.domain, d->domain);
    strcpy(config.address, d->address);
    config.segment_bytes = arena_segment_bytes(d->arena);
    config.segments = arena_segment_count(d->arena);
    config.locked = arena_is_locked(d->arena) ? ARENA_LOCKED_YES : ARENA_LOCKED_NO;
    config.slots = arena_slot_count(d->arena);
    config.parts = arena_part_count(d->arena);
    config.page_bytes = arena_page_bytes(d->arena);
    config.ranks_max = (uint32_t)config_number(d->config, OPTION_RANKS_MAX);
    config.pulls_max = (uint32_t)config_number(d->config, OPTION_PULLS_MAX);
    config.own_uid = (uint32_t)geteuid();
    config.copies_default = (uint32_t)config_number(d->config, OPTION_COPIES);
    config.resend_ms = (uint32_t)config_number(d->config, OPTION_RESEND);
    config.pull_timeout_ms = (uint32_t)config_number(d->config, OPTION_PULL_TIMEOUT);
    config.load_timeout_ms = (uint32_t)config_number(d->config, OPTION_LOAD_TIMEOUT);
    size_t bytes = agent_memory_bytes(&config, reason);
    if (bytes == 0) {
        return CKPT_ERR_CONFIG;
    }
    bytes = (bytes + 63) & ~(size_t)63;
    d->machine_memory = aligned_alloc(64, bytes);
    d->update = calloc(1, sizeof *d->update);
    if (d->machine_memory == NULL || d->update == NULL) {
        snprintf(reason, CKPT_REASON_MAX + 1, "out of memory");
        return CKPT_ERR_MEMORY;
    }
    memset(d->machine_memory, 0, bytes);
    uint64_t seed;
    memcpy(&seed, d->incarnation.bytes, sizeof seed);
    return agent_init(d->machine_memory, bytes, &config, d->incarnation, seed, &d->machine);
}

/* ---- the loop ---- */

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct agent_event event = {.type = AGENT_TICK};
    daemon_event(context, &event);
}

static void on_completion(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    act_on_completions(context);
}

static void on_reconnect(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    links_connect_coordinator(context);
}

static void on_lookup(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    links_say_lookups(context);
}

static enum ckpt_status make_loop(struct daemon *d, char *reason)
{
    struct session_hub_config config = {
        .incarnation = d->incarnation,
        .sessions_max = links_sessions_max(d->config) + SESSIONS_BESIDE_RANKS,
        .receive_bytes_max = RECEIVE_BYTES_MAX,
        .output_bytes_max = OUTPUT_BYTES_MAX,
        .output_total_max = OUTPUT_TOTAL_MAX,
        .idle_ms = 0, /* a trainer may compute for hours between saves */
        .linger_ms = 500,
    };
    d->base = event_base_new();
    if (d->base != NULL) {
        d->deadline_event = evtimer_new(d->base, on_deadline, d);
        d->reconnect_event = evtimer_new(d->base, on_reconnect, d);
        d->lookup_event = evtimer_new(d->base, on_lookup, d);
        d->completion_event = event_new(d->base, completions_fd(d->completions),
                                        EV_READ | EV_PERSIST, on_completion, d);
    }
    if (d->base == NULL || d->deadline_event == NULL || d->reconnect_event == NULL ||
        d->lookup_event == NULL || d->completion_event == NULL ||
        event_add(d->completion_event, NULL) != 0 ||
        session_hub_open(d->base, &config, &d->hub) != CKPT_OK) {
        snprintf(reason, CKPT_REASON_MAX + 1, "the event loop can't be made");
        return CKPT_ERR_SYSTEM;
    }
    return CKPT_OK;
}

static enum ckpt_status make_quiet(struct daemon *d, char *reason)
{
    if (quiet_make(d->base, arena_slot_count(d->arena), d->digester, d->mover, &d->quiet) !=
        CKPT_OK) {
        snprintf(reason, CKPT_REASON_MAX + 1, "out of memory");
        return CKPT_ERR_MEMORY;
    }
    return CKPT_OK;
}

/* From here on it serves. */
static enum ckpt_status begin_to_serve(struct daemon *d, char *reason)
{
    records_adopt(d);
    enum ckpt_status status = session_hub_serve(d->hub, reason);
    if (status == CKPT_OK) {
        links_connect_coordinator(d);
    }
    return status;
}

/* What can be refused at once comes first: addresses and transport are taken before any memory is,
 * so that a second agent, or one that is set up wrong, costs the node nothing. */
enum ckpt_status daemon_start(struct daemon *d, const struct config *config,
                              char reason[DAEMON_REASON_BYTES])
{
    static enum ckpt_status (*const steps[])(struct daemon *, char *) = {
        identify,   choose_rails,   make_workers, make_loop,    links_bind,    open_transport,
        open_arena, register_arena, make_quiet,   make_machine, begin_to_serve};
    enum ckpt_status status = CKPT_OK;
    memset(d, 0, sizeof *d);
    d->config = config;
    d->reconnect_ms = 50;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == CKPT_OK; i++) {
        status = steps[i](d, reason);
        if (status == CKPT_OK && life_is_stopped()) {
            snprintf(reason, CKPT_REASON_MAX + 1, "stopped before it was ready");
            status = CKPT_ERR_ABORTED;
        }
    }
    d->is_started = status == CKPT_OK;
    return status;
}

void daemon_leave(struct daemon *d)
{
    struct agent_event event = {.type = AGENT_STOP};
    daemon_event(d, &event);
    session_hub_flush(d->hub);
    event_base_loopexit(d->base, NULL);
}

static void on_signal(int number, void *context)
{
    struct daemon *d = context;
    if (number == SIGHUP) {
        return;
    }
    log_event(EVENT_stopping, "signal=%d", number);
    daemon_leave(d);
}

int daemon_run(struct daemon *d)
{
    struct session_signals *signals = NULL;
    struct session_watchdog *watchdog = NULL;
    if (session_signals_watch(d->base, on_signal, d, &signals) != CKPT_OK) {
        return 1;
    }
    if (life_is_stopped()) { /* it came a moment before */
        log_event(EVENT_stopping, "reason=\"stopped before it was ready\"");
        event_base_loopexit(d->base, NULL);
    }
    if (life_watch_idle(d) != CKPT_OK || session_watchdog_start(d->base, &watchdog) != CKPT_OK) {
        session_signals_free(&signals);
        return 1;
    }
    (void)session_notify("READY=1");
    life_tell_starter(d->config, "ready");
    log_event(EVENT_ready, "node=%s domain=%s address=%s socket=%s", d->node, d->domain, d->address,
              config_text(d->config, OPTION_SOCKET));
    event_base_dispatch(d->base);
    (void)session_notify("STOPPING=1");
    session_watchdog_free(&watchdog);
    session_signals_free(&signals);
    return d->is_broken ? 1 : 0;
}

void daemon_end(struct daemon *d)
{
    if (d->hub != NULL) {
        session_hub_close(&d->hub);
    }
    links_free(d);
    quiet_free(&d->quiet);
    mover_stop(&d->mover);
    digester_stop(&d->digester);
    completions_free(&d->completions);
    if (d->base != NULL) {
        if (d->completion_event != NULL) {
            event_free(d->completion_event);
        }
        if (d->idle_event != NULL) {
            event_free(d->idle_event);
        }
        if (d->reconnect_event != NULL) {
            event_free(d->reconnect_event);
        }
        if (d->lookup_event != NULL) {
            event_free(d->lookup_event);
        }
        if (d->deadline_event != NULL) {
            event_free(d->deadline_event);
        }
        event_base_free(d->base);
    }
    if (d->is_started) {
        arena_close(&d->arena);
    } else {
        arena_discard(&d->arena);
    }
    free(d->update);
    free(d->machine_memory);
}
