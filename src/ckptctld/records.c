/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/records.h"

#include <event2/event.h>
#include <inttypes.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/reason.h"
#include "ckptctld/doors.h"
#include "ckptctld/machine.h"
#include "ckptctld/service.h"
#include "ckptctld/turn.h"
#include "ckptctld/waits.h"
#include "session/notify.h"

#define TELL_S 5                                      /* how often a start says that it goes on */
#define TELL_MANAGER "EXTEND_TIMEOUT_USEC=30000000\n" /* and for how long that holds */
#define TELL_LOG_EACH 6 /* so often it goes to the log, unless there is progress to show */
#define END_WAIT_MS 1500

static const char *const stores[] = {"sqlite", "memory", NULL};

static const struct config_key keys[RECORDS_KEYS] = {
    [RECORDS_STATE_DIRECTORY] = {.section = "coordinator",
                                 .name = "state_directory",
                                 .flag = "state-directory",
                                 .letter = 'd',
                                 .type = CONFIG_PATH,
                                 .fallback = "/var/lib/ckptctld",
                                 .help =
                                     "local directory of the records, made where it is missing"},
    [RECORDS_STORE] = {.section = "coordinator",
                       .name = "store",
                       .flag = "store",
                       .type = CONFIG_ENUM,
                       .choices = stores,
                       .fallback = "sqlite",
                       .help = "where records go; memory forgets everything at the end"},
    [RECORDS_EPOCH_ABOVE] = {.name = "epoch_above",
                             .flag = "epoch-above",
                             .type = CONFIG_INTEGER,
                             .placeholder = "N",
                             .max = INT64_MAX - 1,
                             .help =
                                 "rule in an epoch above N: after the state directory was lost or "
                                 "brought back from a backup, when agents have seen N"},
    [RECORDS_CLUSTER] =
        {.name = "cluster",
         .flag = "cluster",
         .type = CONFIG_STRING,
         .placeholder = "ID",
         .help = "the id that a new state directory gets, instead of a random one: that "
                 "of the cluster whose agents are to join again, when its records "
                 "were lost"},
};

static enum ckpt_status check(const struct config *config, char *reason)
{
    struct nonce id;
    const char *cluster = part_text(config, &part_records, RECORDS_CLUSTER);
    if (cluster == NULL || cluster[0] == '\0' || nonce_from_hex(cluster, &id)) {
        return CKPT_OK;
    }
    return reason_refuse(reason, CKPT_ERR_CONFIG,
                         "--cluster = '%.40s': must be the 32 hexadecimal digits that the logs of "
                         "its agents and of its coordinator name",
                         cluster);
}

/* ---- from the store's thread ---- */

static enum ckpt_status replay_one(void *context, const struct coordinator_record *record)
{
    struct daemon *daemon = context;
    struct coordinator_event event = {
        .type = COORDINATOR_REPLAY, .now_ms = daemon->started_ms, .record = record};
    enum ckpt_status status = coordinator_advance(daemon->machine, &event, &daemon->update);
    if (status != CKPT_OK) {
        log_event(EVENT_replay_refused,
                  "status=%s record=%d run=%s uid=%" PRIu32 " attempt=%" PRIu32 " step=%" PRIu64
                  " text=%s",
                  ckpt_status_name(status), (int)record->type, LOG_QUOTED(record->run.name),
                  record->run.uid, record->attempt, record->step,
                  status == CKPT_ERR_FULL ? "\"raise runs_max, checkpoints_max or shards_max\""
                                          : "\"the records contradict each other\"");
    }
    /* Full tables are another thing than a full disk. */
    return status == CKPT_ERR_FULL ? CKPT_ERR_CONFIG : status;
}

/* ---- the steps, each a call of the store ---- */

static void open_store(struct daemon *daemon);
static void take_rule(struct daemon *daemon);

static void begin(struct daemon *daemon, struct store_call call, void (*done)(void *context))
{
    call.done = done;
    call.context = daemon;
    daemon->start.call = call;
    store_begin(daemon->store, &daemon->start.call);
}

/* Whether the step went well. Else it may pass, and is tried again, or the start is over. */
static bool went_well(struct daemon *daemon, enum event_id event, void (*again)(struct daemon *))
{
    const struct store_call *call = &daemon->start.call;
    if (daemon->ending || waits_begin(daemon, call->status, again) || call->status == CKPT_OK) {
        return !daemon->ending && call->status == CKPT_OK;
    }
    log_event(event, "status=%s text=%s", ckpt_status_name(call->status),
              LOG_QUOTED(call->reason[0] ? call->reason : ckpt_status_text(call->status)));
    daemon_leave(daemon,
                 call->status == CKPT_ERR_CONFIG ? EXIT_CONFIG : waits_exit_code(call->status));
    return false;
}

static void rules(struct daemon *daemon)
{
    log_event(EVENT_replayed,
              "epoch=%" PRIu64 " runs=%" PRIu32 " checkpoints=%" PRIu32 " ms=%" PRIu64,
              daemon->start.epoch, coordinator_run_count(daemon->machine),
              coordinator_checkpoint_count(daemon->machine), clock_now_ms() - daemon->started_ms);
    service_begin(daemon);
}

static void ruled(void *context)
{
    struct daemon *daemon = context;
    struct start *start = &daemon->start;
    char hex[NONCE_HEX_SIZE];
    if (!went_well(daemon, EVENT_store_failed, take_rule)) {
        return;
    }
    if (start->is_new && replay_one(daemon, &start->records[1]) != CKPT_OK) {
        daemon_leave(daemon, EXIT_START);
        return;
    }
    nonce_hex(&start->cluster, hex);
    log_event(start->is_new ? EVENT_cluster_made : EVENT_cluster, "id=%s", hex);
    event_free(start->told_event);
    start->told_event = NULL;
    daemon->commit.epoch = start->epoch;
    struct coordinator_event event = {.type = COORDINATOR_REPLAY_END};
    turn_event(daemon, &event, rules);
}

/* The epoch, and in a new state directory, or one of before clusters had ids, the cluster's id. */
static void take_rule(struct daemon *daemon)
{
    struct start *start = &daemon->start;
    struct store_transaction transaction = {.records = start->records,
                                            .count = start->is_new ? 2 : 1};
    begin(daemon, (struct store_call){.type = STORE_RULE, .transaction = transaction}, ruled);
}

static bool choose_cluster(struct daemon *daemon)
{
    struct start *start = &daemon->start;
    start->cluster = coordinator_cluster(daemon->machine);
    start->is_new = nonce_is_zero(&start->cluster);
    if (start->is_new) {
        start->cluster = daemon->options.cluster;
    }
    if (nonce_is_zero(&start->cluster) &&
        getrandom(&start->cluster, sizeof(start->cluster), 0) != sizeof(start->cluster)) {
        return false;
    }
    start->records[0] = (struct coordinator_record){.type = RECORD_EPOCH, .epoch = start->epoch};
    start->records[1] = (struct coordinator_record){.type = RECORD_CLUSTER, .epoch = start->epoch};
    coordinator_record_name(&start->records[1], &start->cluster);
    return true;
}

static void replayed(void *context)
{
    struct daemon *daemon = context;
    if (!went_well(daemon, EVENT_replay_failed, open_store)) {
        return;
    }
    FAULT_POINT(coordinator_after_replay);
    enum exit_code code = doors_listen(daemon);
    if (code == EXIT_ENDED && !choose_cluster(daemon)) {
        log_event(EVENT_start_failed, "text=\"no random numbers\"");
        code = EXIT_START;
    }
    if (code != EXIT_ENDED) {
        daemon_leave(daemon, code);
        return;
    }
    take_rule(daemon);
}

static void epoch_is_known(void *context)
{
    struct daemon *daemon = context;
    if (!went_well(daemon, EVENT_store_failed, open_store)) {
        return;
    }
    uint64_t above = daemon->options.epoch_above;
    uint64_t highest = daemon->start.call.epoch;
    daemon->start.epoch = (above > highest ? above : highest) + 1;
    machine_free(daemon); /* of a replay that began before */
    enum ckpt_status status = machine_make(daemon, daemon->start.epoch);
    if (status != CKPT_OK) {
        log_event(EVENT_start_failed, "status=%s text=%s", ckpt_status_name(status),
                  "\"the tables cannot be made\"");
        daemon_leave(daemon, EXIT_START);
        return;
    }
    begin(daemon,
          (struct store_call){.type = STORE_REPLAY, .visit = replay_one, .visit_context = daemon},
          replayed);
}

static void opened(void *context)
{
    struct daemon *daemon = context;
    if (went_well(daemon, EVENT_store_refused, open_store)) {
        begin(daemon, (struct store_call){.type = STORE_EPOCH}, epoch_is_known);
    }
}

static void open_store(struct daemon *daemon)
{
    begin(daemon, (struct store_call){.type = STORE_OPEN}, opened);
}

/* ---- the part ---- */

static void on_answer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct daemon *daemon = context;
    store_turn(daemon->store);
}

static void on_tell(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct daemon *daemon = context;
    const char *doing = atomic_load(&daemon->progress.what);
    uint64_t done = atomic_load(&daemon->progress.done);
    uint64_t of = atomic_load(&daemon->progress.of);
    session_notify(TELL_MANAGER);
    if (doing) {
        log_event(EVENT_starting, "doing=%s done=%" PRIu64 " of=%" PRIu64, doing, done, of);
    } else if (daemon->start.told % TELL_LOG_EACH == 0) {
        log_event(EVENT_store_waits, "waited_ms=%" PRIu64 " text=\"%s\"",
                  clock_now_ms() - daemon->started_ms, waits_text(daemon));
    }
    daemon->start.told++;
}

static enum ckpt_status start(void *context, char *reason)
{
    struct daemon *daemon = context;
    const struct timeval pause = {.tv_sec = TELL_S};
    daemon->started_ms = clock_now_ms();
    daemon->start.told_event = event_new(daemon->base, -1, EV_PERSIST, on_tell, daemon);
    if (!daemon->start.told_event || event_add(daemon->start.told_event, &pause) != 0) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "no memory");
    }
    if (store_make(daemon->options.store, daemon->options.state_directory, &daemon->progress,
                   &daemon->store) != CKPT_OK) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM, "no thread for the records");
    }
    daemon->store_event =
        event_new(daemon->base, store_fd(daemon->store), EV_READ | EV_PERSIST, on_answer, daemon);
    if (!daemon->store_event || event_add(daemon->store_event, NULL) != 0) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "no memory");
    }
    open_store(daemon);
    return CKPT_OK;
}

static void stop(void *context)
{
    struct daemon *daemon = context;
    if (daemon->start.told_event) {
        event_free(daemon->start.told_event);
    }
    if (daemon->store_event) {
        event_free(daemon->store_event);
    }
    if (!store_close(&daemon->store, END_WAIT_MS)) {
        /* What it writes is there whole afterwards, or not at all. */
        log_event(EVENT_left_alone, "exit=%d text=\"%s: it is left alone\"", (int)daemon->exit_code,
                  waits_text(daemon));
        _exit((int)daemon->exit_code);
    }
    machine_free(daemon);
}

struct part part_records = {
    .keys = keys, .key_count = RECORDS_KEYS, .check = check, .start = start, .stop = stop};
