/* SPDX-License-Identifier: Apache-2.0 */
/* From records on disk to a machine that rules: lock and open the store, replay into the machine,
 * take an epoch above every one that is known, all before anybody can connect.
 *
 * Nothing is written before the whole log was read and found good. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/fault_point.h"
#include "base/log.h"
#include "daemon.h"

static enum exit_code refuse(const char *event, enum ckpt_status status, const char *reason)
{
    log_event(LOG_LEVEL_ERROR, event, "status=%s text=%s", ckpt_status_name(status),
              LOG_QUOTED(reason));
    bool store_is_bad =
        status == CKPT_ERR_CORRUPT || status == CKPT_ERR_DISK || status == CKPT_ERR_VERSION;
    return status == CKPT_ERR_STALE ? EXIT_STALE : store_is_bad ? EXIT_STORE : EXIT_START;
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
        log_event(LOG_LEVEL_ERROR, "replay_refused",
                  "status=%s record=%d run=%s uid=%" PRIu32 " attempt=%" PRIu32 " step=%" PRIu64
                  " text=%s",
                  ckpt_status_name(status), (int)record->type, LOG_QUOTED(record->run.name),
                  record->run.uid, record->attempt, record->step,
                  status == CKPT_ERR_FULL ? "\"raise runs_max, checkpoints_max or shards_max\""
                                          : "\"the records contradict each other\"");
    }
    return status;
}

static enum ckpt_status take_epoch(struct daemon *daemon, uint64_t epoch)
{
    struct coordinator_record record = {.type = RECORD_EPOCH, .epoch = epoch};
    struct store_transaction transaction = {.records = &record, .count = 1};
    return store_commit(daemon->store, &transaction);
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

static enum exit_code replay_and_rule(struct daemon *daemon)
{
    uint64_t highest;
    enum ckpt_status status = store_epoch(daemon->store, &highest);
    if (status != CKPT_OK) {
        return refuse("store_failed", status, store_reason(daemon->store));
    }
    uint64_t above = daemon->options.epoch_above > highest ? daemon->options.epoch_above : highest;
    status = make_machine(daemon, above + 1);
    if (status != CKPT_OK) {
        return refuse("start_failed", status, "the tables cannot be made");
    }
    status = store_replay(daemon->store, replay_one, daemon);
    if (status != CKPT_OK) {
        const char *reason = store_reason(daemon->store);
        return refuse("replay_failed", status, reason[0] ? reason : ckpt_status_text(status));
    }
    FAULT_POINT(coordinator_after_replay);
    status = take_epoch(daemon, above + 1);
    if (status != CKPT_OK) {
        return refuse("store_failed", status, store_reason(daemon->store));
    }
    struct coordinator_event event = {.type = COORDINATOR_REPLAY_END};
    loop_advance(daemon, &event, NULL, NULL);
    if (daemon->ending) {
        return daemon->exit_code;
    }
    log_event(LOG_LEVEL_INFO, "replayed",
              "epoch=%" PRIu64 " runs=%" PRIu32 " checkpoints=%" PRIu32 " ms=%" PRIu64, above + 1,
              coordinator_run_count(daemon->machine), coordinator_checkpoint_count(daemon->machine),
              daemon_now_ms() - daemon->started_ms);
    return EXIT_ENDED;
}

enum exit_code daemon_start(struct daemon *daemon)
{
    char reason[CKPT_REASON_MAX + 1];
    daemon->started_ms = daemon_now_ms();
    enum ckpt_status status = store_open(daemon->options.store, daemon->options.state_directory,
                                         NULL, &daemon->store, reason);
    if (status != CKPT_OK) {
        return refuse("store_refused", status, reason);
    }
    return replay_and_rule(daemon);
}

void daemon_stop(struct daemon *daemon)
{
    store_close(&daemon->store);
    if (daemon->memory) {
        munmap(daemon->memory, daemon->memory_bytes);
        daemon->memory = NULL;
    }
}
