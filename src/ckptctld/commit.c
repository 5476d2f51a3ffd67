/* SPDX-License-Identifier: Apache-2.0 */
/* Records to the store, before anybody hears of them.
 *
 * While a transaction is under way, however long its disk takes, both hubs are paused: words of
 * agents wait in their sockets, the machine's clock stands still (base/lateness.h), signals and the
 * service manager's watchdog are served. A store that is locked by another program or has no room
 * is waited for; one of which nothing is known any more, as after a failed sync, ends the process,
 * whose next life reads what the disk has. */
#include <event2/event.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/fault_point.h"
#include "base/log.h"
#include "ckptctld/daemon.h"

#define EPOCH_READ_MS 2000 /* how often a coordinator looks in the store whether it still rules */
#define STORE_AGAIN_MS 250 /* between two tries of what may pass */
#define PATIENCE_MS 1000   /* until a commit counts as slow, and that is said */
#define SAY_AGAIN_MS 30000

bool store_waits(struct keeper *keeper, struct daemon *daemon, enum ckpt_status status)
{
    if (!store_may_pass(status)) {
        atomic_store(&daemon->store_waits_for, CKPT_OK);
        return false;
    }
    atomic_store(&daemon->store_waits_for, (int)status);
    return keeper_sleep(keeper, STORE_AGAIN_MS);
}

const char *store_waits_text(const struct daemon *daemon)
{
    switch (atomic_load(&daemon->store_waits_for)) {
    case CKPT_ERR_TIMEOUT:
        return "another program holds a lock on the records: end its transaction";
    case CKPT_ERR_FULL:
        return "there is no room for records: make some on their file system";
    default:
        return "the disk of the records has not answered yet";
    }
}

enum exit_code store_exit_code(enum ckpt_status status)
{
    switch ((int)status) {
    case CKPT_ERR_STALE:
        return EXIT_STALE;
    case CKPT_ERR_CORRUPT:
    case CKPT_ERR_VERSION:
        return EXIT_STORE;
    default:
        return EXIT_START;
    }
}

/* ---- commits ---- */

static struct coordinator_record_shard
shard_at(const void *context, const struct coordinator_record *record, uint32_t rank)
{
    const struct daemon *daemon = context;
    return coordinator_record_shard(daemon->machine, record, rank);
}

static void commit_run(struct keeper *keeper, void *context)
{
    struct daemon *daemon = context;
    struct store_transaction transaction = {.records = daemon->update.records,
                                            .count = daemon->update.record_count,
                                            .shard_at = shard_at,
                                            .context = daemon};
    FAULT_POINT(coordinator_before_transaction);
    do {
        daemon->commit.status = store_commit(daemon->store, &transaction);
    } while (store_waits(keeper, daemon, daemon->commit.status));
    FAULT_POINT(coordinator_after_transaction);
    snprintf(daemon->commit.reason, sizeof(daemon->commit.reason), "%s",
             store_reason(daemon->store));
}

static void pause_hubs(struct daemon *daemon)
{
    /* At the end of the replay there are none yet. */
    if (daemon->agents) {
        session_hub_pause(daemon->agents);
    }
    if (daemon->local) {
        session_hub_pause(daemon->local);
    }
}

/* Each may bring a message whose records pause both again. */
static void resume_hubs(struct daemon *daemon)
{
    if (daemon->agents && !daemon->commit.is_under_way) {
        session_hub_resume(daemon->agents);
    }
    if (daemon->local && !daemon->commit.is_under_way) {
        session_hub_resume(daemon->local);
    }
}

static void commit_done(void *context)
{
    struct daemon *daemon = context;
    struct commit *commit = &daemon->commit;
    evtimer_del(daemon->patience_event);
    commit->is_under_way = false;
    if (daemon->ending) {
        return;
    }
    if (commit->status != CKPT_OK) {
        log_event(commit->status == CKPT_ERR_STALE ? EVENT_stale_coordinator : EVENT_store_failed,
                  "status=%s epoch=%" PRIu64 " text=%s", ckpt_status_name(commit->status),
                  coordinator_epoch(daemon->machine), LOG_QUOTED(commit->reason));
        daemon_end(daemon, store_exit_code(commit->status));
        return;
    }
    commit->epoch = coordinator_epoch(daemon->machine);
    if (commit->said_ms != 0) {
        log_event(EVENT_store_goes_on, "waited_ms=%" PRIu64, daemon_now_ms() - commit->since_ms);
    }
    loop_go_on(daemon);
    if (!daemon->ending) {
        resume_hubs(daemon);
    }
}

static void arm_patience(struct daemon *daemon)
{
    uint32_t ms = daemon->options.machine.heartbeat_ms;
    struct timeval pause = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    evtimer_add(daemon->patience_event, &pause);
}

/* Agents hear that the coordinator lives, in the epoch that is on record, and need not look for
 * another. */
static void say_lease(struct daemon *daemon)
{
    struct message lease = {.type = MESSAGE_LEASE, .epoch = daemon->commit.epoch};
    if (daemon->agents) {
        (void)session_send_group(daemon->agents, GROUP_JOINED, &lease);
    }
}

/* A person who asks what is the matter gets an answer from now on (admin.c). */
static void say_slow(struct daemon *daemon, uint64_t now_ms)
{
    daemon->commit.said_ms = now_ms;
    log_event(EVENT_store_waits,
              "waited_ms=%" PRIu64 " text=\"%s; until then nothing is promised to anybody\"",
              now_ms - daemon->commit.since_ms, store_waits_text(daemon));
    if (daemon->local) {
        session_hub_resume(daemon->local);
    }
}

static void on_patience(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct daemon *daemon = context;
    const struct commit *commit = &daemon->commit;
    uint64_t now_ms = daemon_now_ms();
    if (!commit->is_under_way) {
        return;
    }
    say_lease(daemon);
    if (now_ms >= commit->since_ms + PATIENCE_MS &&
        (commit->said_ms == 0 || now_ms >= commit->said_ms + SAY_AGAIN_MS)) {
        say_slow(daemon, now_ms);
    }
    arm_patience(daemon);
}

void commit_begin(struct daemon *daemon)
{
    daemon->commit.is_under_way = true;
    daemon->commit.said_ms = 0;
    daemon->commit.since_ms = daemon_now_ms();
    pause_hubs(daemon);
    arm_patience(daemon);
    keeper_add(daemon->keeper, &daemon->commit.task);
}

/* ---- looking who rules: a coordinator that writes nothing is refused nothing ---- */

static void look_run(struct keeper *keeper, void *context)
{
    (void)keeper;
    struct daemon *daemon = context;
    daemon->look.status = store_epoch(daemon->store, &daemon->look.epoch);
    snprintf(daemon->look.reason, sizeof(daemon->look.reason), "%s", store_reason(daemon->store));
}

static void look_done(void *context)
{
    struct daemon *daemon = context;
    const struct look *look = &daemon->look;
    uint64_t own = coordinator_epoch(daemon->machine);
    daemon->look.is_under_way = false;
    if (daemon->ending || store_may_pass(look->status) ||
        (look->status == CKPT_OK && look->epoch <= own)) {
        return;
    }
    bool is_stale = look->status == CKPT_OK;
    log_event(is_stale ? EVENT_stale_coordinator : EVENT_store_failed,
              "status=%s store_epoch=%" PRIu64 " own_epoch=%" PRIu64 " text=%s",
              ckpt_status_name(look->status), look->epoch, own,
              LOG_QUOTED(is_stale ? "another coordinator rules" : look->reason));
    daemon_end(daemon, is_stale ? EXIT_STALE : store_exit_code(look->status));
}

void commit_look(struct daemon *daemon)
{
    uint64_t now_ms = daemon_now_ms();
    if (!daemon->look.is_under_way && now_ms >= daemon->look.next_ms) {
        daemon->look.is_under_way = true;
        daemon->look.next_ms = now_ms + EPOCH_READ_MS;
        keeper_add(daemon->keeper, &daemon->look.task);
    }
}

/* ---- */

enum ckpt_status commit_open(struct daemon *daemon)
{
    daemon->commit.task =
        (struct keeper_task){.run = commit_run, .done = commit_done, .context = daemon};
    daemon->look.task = (struct keeper_task){.run = look_run, .done = look_done, .context = daemon};
    daemon->patience_event = evtimer_new(daemon->base, on_patience, daemon);
    return daemon->patience_event ? CKPT_OK : CKPT_ERR_MEMORY;
}

void commit_close(struct daemon *daemon)
{
    if (daemon->patience_event) {
        event_free(daemon->patience_event);
        daemon->patience_event = NULL;
    }
}
