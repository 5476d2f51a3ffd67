/* SPDX-License-Identifier: Apache-2.0 */
/* From records on disk to a machine that rules: lock and open the store, replay into the machine,
 * listen, take an epoch above every one that is known, all before anybody is served. It happens on
 * the keeper's thread, as it may take its time: an old database is converted, a locked one waited
 * for. Meanwhile the loop tells the service manager that the start goes on.
 *
 * Nothing is written before the whole log was read and found good. */
#include <event2/event.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fault_point.h"
#include "base/log.h"
#include "ckptctld/daemon.h"
#include "session/notify.h"

#define TELL_S 5                                      /* how often a start says that it goes on */
#define TELL_MANAGER "EXTEND_TIMEOUT_USEC=30000000\n" /* and for how long that holds */
#define TELL_LOG_EACH 6 /* so often it goes to the log, unless there is progress to show */
#define END_WAIT_MS 1500

/* What may pass is for the caller to wait out. */
static enum ckpt_status refuse(enum event_id event, enum ckpt_status status, const char *reason)
{
    if (!store_may_pass(status)) {
        log_event(event, "status=%s text=%s", ckpt_status_name(status), LOG_QUOTED(reason));
    }
    return status;
}

/* Zeroed, and in pages that cost nothing until they are touched. */
static bool make_memory(struct daemon *daemon)
{
    char reason[CKPT_REASON_MAX + 1];
    size_t bytes = coordinator_memory_bytes(&daemon->options.machine, reason);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return false;
    }
    daemon->memory = memory;
    daemon->memory_bytes = bytes;
    return true;
}

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

/* The epoch, and in a new state directory, or one of before clusters had ids, the cluster's id. */
static enum ckpt_status take_epoch(struct daemon *daemon, uint64_t epoch)
{
    struct nonce cluster = coordinator_cluster(daemon->machine);
    struct coordinator_record records[2] = {{.type = RECORD_EPOCH, .epoch = epoch},
                                            {.type = RECORD_CLUSTER, .epoch = epoch}};
    bool is_new = nonce_is_zero(&cluster);
    if (is_new) {
        cluster = daemon->options.cluster;
    }
    if (nonce_is_zero(&cluster) && getrandom(&cluster, sizeof(cluster), 0) != sizeof(cluster)) {
        return CKPT_ERR_MEMORY;
    }
    coordinator_record_name(&records[1], &cluster);
    struct store_transaction transaction = {.records = records, .count = is_new ? 2 : 1};
    enum ckpt_status status = store_commit(daemon->store, &transaction);
    if (status == CKPT_OK && is_new) {
        status = replay_one(daemon, &records[1]);
    }
    if (status == CKPT_OK) { /* what is tried again gets another id */
        char hex[NONCE_HEX_SIZE];
        nonce_hex(&cluster, hex);
        log_event(is_new ? EVENT_cluster_made : EVENT_cluster, "id=%s", hex);
    }
    return status;
}

static enum ckpt_status make_machine(struct daemon *daemon, uint64_t epoch)
{
    uint64_t seed;
    if (!make_memory(daemon) || getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
        return CKPT_ERR_MEMORY;
    }
    return coordinator_init(daemon->memory, daemon->memory_bytes, &daemon->options.machine, epoch,
                            seed, &daemon->machine);
}

static enum ckpt_status replay(struct daemon *daemon)
{
    uint64_t highest;
    enum ckpt_status status = store_epoch(daemon->store, &highest);
    if (status != CKPT_OK) {
        return refuse(EVENT_store_failed, status, store_reason(daemon->store));
    }
    uint64_t above = daemon->options.epoch_above > highest ? daemon->options.epoch_above : highest;
    status = make_machine(daemon, above + 1);
    if (status != CKPT_OK) {
        return refuse(EVENT_start_failed, status, "the tables cannot be made");
    }
    status = store_replay(daemon->store, replay_one, daemon);
    if (status != CKPT_OK) {
        const char *reason = store_reason(daemon->store);
        return refuse(EVENT_replay_failed, status, reason[0] ? reason : ckpt_status_text(status));
    }
    FAULT_POINT(coordinator_after_replay);
    daemon->start.epoch = above + 1;
    return CKPT_OK;
}

static enum ckpt_status try_once(struct daemon *daemon)
{
    char reason[CKPT_REASON_MAX + 1];
    enum ckpt_status status = store_open(daemon->options.store, daemon->options.state_directory,
                                         &daemon->progress, &daemon->store, reason);
    return status == CKPT_OK ? replay(daemon) : refuse(EVENT_store_refused, status, reason);
}

static void give_back(struct daemon *daemon)
{
    store_close(&daemon->store);
    if (daemon->memory) {
        munmap(daemon->memory, daemon->memory_bytes);
        daemon->memory = NULL;
    }
}

static enum exit_code code_of(enum ckpt_status status)
{
    return status == CKPT_OK           ? EXIT_ENDED
           : status == CKPT_ERR_CONFIG ? EXIT_CONFIG
                                       : store_exit_code(status);
}

static void start_run(struct keeper *keeper, void *context)
{
    struct daemon *daemon = context;
    enum ckpt_status status = try_once(daemon);
    while (store_waits(keeper, daemon, status)) {
        give_back(daemon);
        status = try_once(daemon);
    }
    daemon->start.code = code_of(status);
}

static void rule_run(struct keeper *keeper, void *context)
{
    struct daemon *daemon = context;
    enum ckpt_status status = take_epoch(daemon, daemon->start.epoch);
    while (store_waits(keeper, daemon, status)) {
        status = take_epoch(daemon, daemon->start.epoch);
    }
    if (status != CKPT_OK) {
        (void)refuse(EVENT_store_failed, status, store_reason(daemon->store));
    }
    daemon->start.code = code_of(status);
}

/* ---- on the loop ---- */

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
                  daemon_now_ms() - daemon->started_ms, store_waits_text(daemon));
    }
    daemon->start.told++;
}

static void replayed(struct daemon *daemon)
{
    log_event(EVENT_replayed,
              "epoch=%" PRIu64 " runs=%" PRIu32 " checkpoints=%" PRIu32 " ms=%" PRIu64,
              daemon->start.epoch, coordinator_run_count(daemon->machine),
              coordinator_checkpoint_count(daemon->machine), daemon_now_ms() - daemon->started_ms);
    daemon_serve(daemon);
}

static void start_done(void *context)
{
    struct daemon *daemon = context;
    if (daemon->start.code == EXIT_ENDED) {
        daemon->start.code = peers_listen(daemon);
    }
    if (daemon->start.code != EXIT_ENDED) {
        daemon_end(daemon, daemon->start.code);
        return;
    }
    keeper_add(daemon->keeper, &daemon->start.rule);
}

static void rule_done(void *context)
{
    struct daemon *daemon = context;
    event_free(daemon->start.told_event);
    daemon->start.told_event = NULL;
    if (daemon->start.code != EXIT_ENDED) {
        daemon_end(daemon, daemon->start.code);
        return;
    }
    daemon->commit.epoch = daemon->start.epoch;
    struct coordinator_event event = {.type = COORDINATOR_REPLAY_END};
    loop_advance(daemon, &event, replayed);
}

enum ckpt_status daemon_start(struct daemon *daemon)
{
    struct timeval pause = {.tv_sec = TELL_S};
    daemon->started_ms = daemon_now_ms();
    daemon->start.task =
        (struct keeper_task){.run = start_run, .done = start_done, .context = daemon};
    daemon->start.rule =
        (struct keeper_task){.run = rule_run, .done = rule_done, .context = daemon};
    daemon->start.told_event = event_new(daemon->base, -1, EV_PERSIST, on_tell, daemon);
    if (!daemon->start.told_event || event_add(daemon->start.told_event, &pause) != 0) {
        return CKPT_ERR_MEMORY;
    }
    enum ckpt_status status = keeper_open(daemon->base, &daemon->keeper);
    if (status == CKPT_OK) {
        keeper_add(daemon->keeper, &daemon->start.task);
    }
    return status;
}

void daemon_stop(struct daemon *daemon)
{
    if (daemon->start.told_event) {
        event_free(daemon->start.told_event);
    }
    if (!keeper_close(&daemon->keeper, END_WAIT_MS)) {
        /* What it writes is there whole afterwards, or not at all. */
        log_event(EVENT_left_alone, "exit=%d text=\"%s: it is left alone\"", (int)daemon->exit_code,
                  store_waits_text(daemon));
        _exit((int)daemon->exit_code);
    }
    give_back(daemon);
}
