/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <ckpt/ckpt.h>

#include "base/log.h"
#include "base/reason.h"
#include "files.h"
#include "folder.h"
#include "order.h"

#define LOOK_MS 1000           /* at least so often, and whenever something is renamed */
#define LOAD_TIMEOUT_MS 240000 /* Orbax waits 300 s for a step, and 900 s for the order to go */
#define PENDING_MAX 64         /* as many steps as ckpt_wait knows */

/* A job that is served. */
struct served {
    int folder;
    const char *socket;
    struct order order;
    struct ckpt *ckpt;             /* NULL: no job */
    uint64_t seen;                 /* the newest step that was saved, or restored */
    uint64_t pending[PENDING_MAX]; /* saved, and not known to be consistent, in order */
    uint32_t pending_count;
    enum ckpt_status refused; /* how the step after `seen` failed, as it was last said */
};

static void complain(const struct served *s, uint64_t step, enum ckpt_status status,
                     const char *reason)
{
    char line[CKPT_REASON_MAX + 128];
    snprintf(line, sizeof line, "ckptd: step %" PRIu64 ": %s: %s", step, ckpt_status_name(status),
             reason);
    log_event(EVENT_step_not_kept, "run=%s step=%" PRIu64 " status=%s reason=%s", s->order.job,
              step, ckpt_status_name(status), LOG_QUOTED(reason));
    folder_tell(s->folder, false, line);
}

/* ---- an order ---- */

static enum ckpt_status open_run(struct served *s, char *reason)
{
    struct ckpt_options options = {.size = sizeof options,
                                   .socket = s->socket,
                                   .run = s->order.job,
                                   .rank = s->order.node,
                                   .world = s->order.nodes};
    ckpt_close(&s->ckpt);
    s->pending_count = 0;
    s->seen = 0;
    s->refused = CKPT_OK;
    return ckpt_open_reason(&options, &s->ckpt, reason, CKPT_REASON_MAX + 1);
}

/* Puts the newest consistent step where the job looks for it. Steps that lie there and are newer
 * are no others': the job would restore them alone. */
static enum ckpt_status restore(struct served *s, char *reason)
{
    struct ckpt_shard shard;
    folder_remove_tree(s->folder, FOLDER_PART);
    enum ckpt_status status = ckpt_load(s->ckpt, CKPT_STEP_LATEST, LOAD_TIMEOUT_MS, &shard);
    bool is_first = status == CKPT_ERR_NO_CHECKPOINT;
    if (status != CKPT_OK && !is_first) {
        return reason_refuse(reason, status, "%s", ckpt_reason(s->ckpt));
    }
    uint64_t step = is_first ? 0 : shard.step;
    status = is_first ? CKPT_OK : files_restore(&shard, s->folder, FOLDER_PART, reason);
    if (!is_first) {
        ckpt_unload(s->ckpt, &shard);
    }
    if (status == CKPT_OK) {
        uint32_t dropped = folder_drop_steps(s->folder, step, step);
        status = folder_offer(s->folder, &s->order, step, is_first, reason);
        s->seen = step;
        log_event(EVENT_step_offered, "run=%s step=%" PRIu64 " first=%d dropped=%" PRIu32,
                  s->order.job, step, is_first, dropped);
    }
    return status;
}

/* The order stays until it is carried out, so that a replicator that is ended meanwhile finds it
 * again. */
static void take_order(struct served *s)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    size_t bytes;
    char *text = folder_read_order(s->folder, &bytes);
    if (text == NULL) {
        return;
    }
    enum ckpt_status status = order_parse(text, bytes, &s->order, reason);
    if (status == CKPT_OK) {
        log_event(EVENT_order_taken, "run=%s rank=%" PRIu32 " world=%" PRIu32 " peers=%" PRIu32,
                  s->order.job, s->order.node, s->order.nodes, s->order.peers);
        status = open_run(s, reason);
    }
    if (status == CKPT_OK) {
        status = restore(s, reason);
    }
    if (status != CKPT_OK) {
        char line[CKPT_REASON_MAX + 64];
        snprintf(line, sizeof line, "ckptd: %s: %s", ckpt_status_name(status), reason);
        log_event(EVENT_order_failed, "status=%s reason=%s", ckpt_status_name(status),
                  LOG_QUOTED(reason));
        folder_tell(s->folder, true, line);
        ckpt_close(&s->ckpt);
    }
    folder_remove_order(s->folder, text, bytes);
    free(text);
}

/* ---- its steps ---- */

/* An agent that is away, or full, may be back: the step is tried again as long as it lies there. */
static bool may_heal(enum ckpt_status status)
{
    return status == CKPT_ERR_NO_AGENT || status == CKPT_ERR_TIMEOUT || status == CKPT_ERR_FULL ||
           status == CKPT_ERR_BUSY;
}

static void remember(struct served *s, uint64_t step)
{
    if (s->pending_count == PENDING_MAX) {
        memmove(s->pending, s->pending + 1, (PENDING_MAX - 1) * sizeof s->pending[0]);
        s->pending_count--;
    }
    s->pending[s->pending_count++] = step;
}

static void save_steps(struct served *s)
{
    uint64_t step;
    while (s->ckpt != NULL && folder_next_step(s->folder, s->seen, &step)) {
        char reason[CKPT_REASON_MAX + 1] = "";
        char name[32];
        uint64_t newer;
        snprintf(name, sizeof name, "%" PRIu64, step);
        enum ckpt_status status = files_save(s->ckpt, s->folder, name, step, reason);
        if (status == CKPT_OK) {
            remember(s, step);
        } else if (status != s->refused) {
            complain(s, step, status, reason);
        }
        s->refused = status;
        if (may_heal(status) && !folder_next_step(s->folder, step, &newer)) {
            return;
        }
        s->seen = step;
    }
}

static void look_at_pending(struct served *s)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < s->pending_count; i++) {
        uint64_t step = s->pending[i];
        enum ckpt_status status = ckpt_wait(s->ckpt, step, 0);
        if (status == CKPT_ERR_TIMEOUT || status == CKPT_ERR_NO_AGENT) {
            s->pending[left++] = step;
        } else if (status == CKPT_OK) {
            log_event(EVENT_step_kept, "run=%s step=%" PRIu64, s->order.job, step);
        } else {
            complain(s, step, status, ckpt_reason(s->ckpt));
        }
    }
    s->pending_count = left;
}

void serve(int folder, const char *path, const char *socket)
{
    struct served served = {.folder = folder, .socket = socket};
    char unread[4096];
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch < 0 || inotify_add_watch(watch, path, IN_MOVED_TO | IN_ONLYDIR) < 0) {
        log_event(EVENT_not_started, "status=%s reason=\"watching %s: %m\"",
                  ckpt_status_name(CKPT_ERR_SYSTEM), path);
        return;
    }
    for (;;) {
        take_order(&served);
        save_steps(&served);
        look_at_pending(&served);
        struct pollfd what = {.fd = watch, .events = POLLIN};
        (void)poll(&what, 1, LOOK_MS);
        while (read(watch, unread, sizeof unread) > 0) { /* that something moved is all */
        }
    }
}
