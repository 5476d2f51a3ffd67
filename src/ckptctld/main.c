/* SPDX-License-Identifier: Apache-2.0 */
/* ckptctld, from its first to its last line. */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fault_point.h"
#include "base/log.h"
#include "ckptctld/daemon.h"
#include "session/notify.h"
#include "session/signals.h"
#include "session/watchdog.h"

uint64_t daemon_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t daemon_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void daemon_end(struct daemon *daemon, enum exit_code code)
{
    if (!daemon->ending) {
        daemon->ending = true;
        daemon->exit_code = code;
        event_base_loopbreak(daemon->base);
    }
}

static void on_signal(int number, void *context)
{
    struct daemon *daemon = context;
    if (number == SIGHUP) {
        log_event(EVENT_signal_ignored,
                  "signal=SIGHUP text=\"configuration is read at start only\"");
        return;
    }
    log_event(EVENT_ending, "signal=%s", number == SIGTERM ? "SIGTERM" : "SIGINT");
    session_notify("STOPPING=1");
    daemon_end(daemon, EXIT_ENDED);
}

/* As many descriptors as there may be sessions, and some for the store. */
static void raise_descriptor_limit(const struct options *options)
{
    struct rlimit limit;
    rlim_t wanted = 3 * (rlim_t)options->machine.agents_max + 1024;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return;
    }
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted) {
        log_event(EVENT_few_descriptors,
                  "limit=%" PRIuMAX " wanted=%" PRIuMAX " text=\"not all agents can connect: raise "
                  "LimitNOFILE\"",
                  (uintmax_t)limit.rlim_cur, (uintmax_t)wanted);
    }
}

static void set_up_log(const struct options *options)
{
    log_set_level(options->log_level);
    log_to_stderr(options->log_format == LOG_FORMAT_JOURNAL ||
                  (options->log_format == LOG_FORMAT_AUTO && log_stderr_is_journal()));
}

/* For what cluster the tables are: a checkpoint needs a shard a rank, and beside the kept ones one
 * is being made and one is on its way out. The memory is a bound: what is not used is not taken. */
static void tell_size(const struct daemon *daemon)
{
    const struct coordinator_config *k = &daemon->options.machine;
    uint32_t ranks = k->shards_max / (k->keep + 2);
    char size[96];
    if (ranks >= k->agents_max) {
        snprintf(size, sizeof(size), "%" PRIu32 " agents x %" PRIu32 " ranks", k->agents_max,
                 ranks / k->agents_max);
    } else {
        snprintf(size, sizeof(size), "%" PRIu32 " agents, %" PRIu32 " ranks in all", k->agents_max,
                 ranks);
    }
    log_event(EVENT_tables,
              "runs=%" PRIu32 " checkpoints=%" PRIu32 " shards=%" PRIu32 " memory_mib=%zu "
              "text=\"tables for %s, %" PRIu32 " checkpoints kept\"",
              k->runs_max, k->checkpoints_max, k->shards_max, daemon->memory_bytes >> 20, size,
              k->keep);
}

void daemon_serve(struct daemon *daemon)
{
    enum exit_code code = peers_serve(daemon);
    if (code != EXIT_ENDED) {
        daemon_end(daemon, code);
        return;
    }
    tell_size(daemon);
    log_event(EVENT_ready, "version=%s address=%s socket=%s epoch=%" PRIu64 " memory_bytes=%zu",
              CKPT_VERSION, daemon->address, LOG_QUOTED(daemon->options.socket),
              coordinator_epoch(daemon->machine), daemon->memory_bytes);
    session_notify("READY=1");
}

static void run(struct daemon *daemon)
{
    struct session_signals *signals = NULL;
    struct session_watchdog *watchdog = NULL;
    daemon->exit_code = EXIT_START;
    if (session_signals_watch(daemon->base, on_signal, daemon, &signals) != CKPT_OK ||
        session_watchdog_start(daemon->base, &watchdog) != CKPT_OK ||
        loop_open(daemon) != CKPT_OK) {
        log_event(EVENT_start_failed, "text=\"no memory\"");
        goto free_loop;
    }
    daemon->exit_code = peers_bind(daemon);
    if (daemon->exit_code == EXIT_ENDED && daemon_start(daemon) == CKPT_OK) {
        event_base_dispatch(daemon->base);
    } else if (daemon->exit_code == EXIT_ENDED) {
        log_event(EVENT_start_failed, "text=\"no thread for the records\"");
        daemon->exit_code = EXIT_START;
    }
    daemon->ending = true;
    peers_close(daemon);
    daemon_stop(daemon);
free_loop:
    loop_close(daemon);
    session_watchdog_free(&watchdog);
    session_signals_free(&signals);
}

/* The daemon's own struct is large: the update holds the messages of a turn. */
static enum exit_code run_with(const struct options *options)
{
    struct daemon *daemon = calloc(1, sizeof(*daemon));
    struct event_base *base = event_base_new();
    enum exit_code code = EXIT_START;
    if (daemon && base) {
        daemon->options = *options;
        daemon->base = base;
        raise_descriptor_limit(options);
        run(daemon);
        code = daemon->exit_code;
        log_event(EVENT_ended, "exit=%d", (int)code);
    } else {
        log_event(EVENT_start_failed, "text=\"no memory\"");
    }
    if (base) {
        event_base_free(base);
    }
    free(daemon);
    return code;
}

static void tell_stranger(void *context, const char *line)
{
    const enum config_request *request = context;
    if (*request == CONFIG_CHECK) {
        fprintf(stderr, "ckptctld: %s\n", line);
    } else {
        log_event(EVENT_variable_not_read, "text=%s", LOG_QUOTED(line));
    }
}

int main(int argc, char **argv)
{
    struct config *config = NULL;
    enum config_request request;
    struct options options;
    char reason[CKPT_REASON_MAX + 1];
    enum exit_code code = EXIT_CONFIG;
    umask(077);
    if (config_load(&options_program, argc, argv, environ, &config, &request, reason,
                    sizeof(reason)) != CKPT_OK) {
        fprintf(stderr, "ckptctld: %s\n", reason);
        return EXIT_CONFIG;
    }
    if (request != CONFIG_RUN && request != CONFIG_CHECK) {
        config_answer(&options_program, config, request, stdout);
        return EXIT_ENDED;
    }
    if (options_read(config, &options, reason) != CKPT_OK ||
        fault_points_arm_from_environment(reason, sizeof(reason)) != CKPT_OK) {
        fprintf(stderr, "ckptctld: %s\n", reason);
    } else {
        set_up_log(&options);
        config_tell_strangers(config, environ, tell_stranger, &request);
        code = config_answer(&options_program, config, request, stdout) ? EXIT_ENDED
                                                                        : run_with(&options);
    }
    config_delete(&config);
    return (int)code;
}
