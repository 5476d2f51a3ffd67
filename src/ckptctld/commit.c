/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/commit.h"

#include <event2/event.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/reason.h"
#include "ckptctld/waits.h"
#include "session/session.h"

#define EPOCH_READ_MS 2000 /* how often a coordinator looks in the store whether it still rules */
#define PATIENCE_MS 1000   /* until a commit counts as slow, and that is said */
#define SAY_AGAIN_MS 30000

static struct coordinator_record_shard
shard_at(const void *context, const struct coordinator_record *record, uint32_t rank)
{
    const struct daemon *daemon = context;
    return coordinator_record_shard(daemon->machine, record, rank);
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

static void try_again(struct daemon *daemon)
{
    store_begin(daemon->store, &daemon->commit.call);
}

static void commit_done(void *context)
{
    struct daemon *daemon = context;
    struct commit *commit = &daemon->commit;
    const struct store_call *call = &commit->call;
    if (daemon->ending || waits_begin(daemon, call->status, try_again)) {
        return;
    }
    evtimer_del(daemon->patience_event);
    commit->is_under_way = false;
    if (call->status != CKPT_OK) {
        log_event(call->status == CKPT_ERR_STALE ? EVENT_stale_coordinator : EVENT_store_failed,
                  "status=%s epoch=%" PRIu64 " text=%s", ckpt_status_name(call->status),
                  coordinator_epoch(daemon->machine), LOG_QUOTED(call->reason));
        daemon_leave(daemon, waits_exit_code(call->status));
        return;
    }
    commit->epoch = coordinator_epoch(daemon->machine);
    if (commit->said_ms != 0) {
        log_event(EVENT_store_goes_on, "waited_ms=%" PRIu64, clock_now_ms() - commit->since_ms);
    }
    commit->durable(daemon);
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
              now_ms - daemon->commit.since_ms, waits_text(daemon));
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
    uint64_t now_ms = clock_now_ms();
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

void commit_begin(struct daemon *daemon, void (*durable)(struct daemon *daemon))
{
    struct commit *commit = &daemon->commit;
    commit->is_under_way = true;
    commit->durable = durable;
    commit->said_ms = 0;
    commit->since_ms = clock_now_ms();
    commit->call = (struct store_call){.type = STORE_COMMIT,
                                       .transaction = {.records = daemon->update.records,
                                                       .count = daemon->update.record_count,
                                                       .shard_at = shard_at,
                                                       .context = daemon},
                                       .done = commit_done,
                                       .context = daemon};
    pause_hubs(daemon);
    arm_patience(daemon);
    store_begin(daemon->store, &commit->call);
}

/* ---- looking who rules: a coordinator that writes nothing is refused nothing ---- */

static void look_done(void *context)
{
    struct daemon *daemon = context;
    const struct store_call *look = &daemon->look.call;
    uint64_t own = coordinator_epoch(daemon->machine);
    daemon->look.is_under_way = false;
    if (daemon->ending || store_may_pass(look->status) ||
        (look->status == CKPT_OK && look->epoch <= own)) {
        return;
    }
    bool is_stale = look->status == CKPT_OK;
    log_event(is_stale ? EVENT_stale_coordinator : EVENT_store_failed,
              "status=%s store_epoch=%" PRIu64 " own_epoch=%" PRIu64 " text=%s",
              ckpt_status_name(is_stale ? CKPT_ERR_STALE : look->status), look->epoch, own,
              LOG_QUOTED(is_stale ? "another coordinator rules" : look->reason));
    daemon_leave(daemon, is_stale ? EXIT_STALE : waits_exit_code(look->status));
}

void commit_look(struct daemon *daemon)
{
    uint64_t now_ms = clock_now_ms();
    if (!daemon->look.is_under_way && now_ms >= daemon->look.next_ms) {
        daemon->look.is_under_way = true;
        daemon->look.next_ms = now_ms + EPOCH_READ_MS;
        daemon->look.call =
            (struct store_call){.type = STORE_EPOCH, .done = look_done, .context = daemon};
        store_begin(daemon->store, &daemon->look.call);
    }
}

/* ---- the part ---- */

static enum ckpt_status start(void *context, char *reason)
{
    struct daemon *daemon = context;
    daemon->patience_event = evtimer_new(daemon->base, on_patience, daemon);
    return daemon->patience_event ? CKPT_OK : reason_refuse(reason, CKPT_ERR_MEMORY, "no memory");
}

static void stop(void *context)
{
    struct daemon *daemon = context;
    if (daemon->patience_event) {
        event_free(daemon->patience_event);
    }
}

struct part part_commit = {.start = start, .stop = stop};
