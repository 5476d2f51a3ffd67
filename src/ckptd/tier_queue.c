/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/tier_queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/reason.h"

#define STOP_WAIT_S 2 /* for a thread that hangs when the agent ends */

struct tier_queue {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t added;
    bool is_stopping;
    bool is_left; /* by who freed the queue: the thread frees it */
    int ended_fd;
    int nice;
    uint32_t timeout_ms;
    const char *place;
    struct tier_options options;
    struct tier *tier; /* the thread's; NULL: not open */
    struct tier_job *first;
    struct tier_job **last;
    struct tier_job *current;
    struct tier_job *ended;
    struct tier_job **ended_last;
    atomic_uint_fast64_t moved_ms; /* when the thread last came further */
};

/* ---- the thread ---- */

/* A block more may be written. */
static bool proceed(void *context)
{
    struct tier_queue *q = context;
    atomic_store(&q->moved_ms, clock_now_ms());
    pthread_mutex_lock(&q->lock);
    bool goes_on = !q->is_stopping && (q->current == NULL || !q->current->is_told);
    pthread_mutex_unlock(&q->lock);
    return goes_on;
}

static void notice(void *context, const char *line)
{
    (void)context;
    log_event(EVENT_tier_notice, "text=%s", LOG_QUOTED(line));
}

static void put_shard(struct tier_queue *q, struct tier_job *job)
{
    const struct message_persist_order *order = &job->shard;
    struct tier_shard_source source = {.data = job->view.address,
                                       .bytes = order->bytes,
                                       .key = order->key,
                                       .committed = &order->digest};
    struct tier_put_result result;
    job->status = tier_put_shard(q->tier, &order->shard, &source, &result, job->reason);
    if (job->status == CKPT_OK) {
        job->name = result.shard.blake3;
        job->bytes = result.shard.stored_bytes;
    }
}

/* Opened when it is needed, so that an agent starts without its tier, and finds it later. */
static void carry_out(struct tier_queue *q, struct tier_job *job)
{
    if (job->has_failed) {
        return;
    }
    job->status =
        q->tier != NULL ? CKPT_OK : tier_open(q->place, &q->options, &q->tier, job->reason);
    if (job->status != CKPT_OK) {
        return;
    }
    if (job->is_manifest) {
        job->manifest.made_ms = clock_wall_ms();
        job->status = tier_put_manifest(q->tier, &job->manifest, job->reason);
    } else {
        put_shard(q, job);
    }
    /* A place that was mounted anew, or a server of another name, is found by opening it again. */
    if (job->status != CKPT_OK && job->status != CKPT_ERR_FULL && job->status != CKPT_ERR_DIGEST) {
        tier_close(&q->tier);
    }
}

static void post(struct tier_queue *q, struct tier_job *job)
{
    job->next = NULL;
    *q->ended_last = job;
    q->ended_last = &job->next;
    uint64_t one = 1;
    (void)!write(q->ended_fd, &one, sizeof(one));
}

static void free_queue(struct tier_queue *q)
{
    while (q->first != NULL) {
        struct tier_job *job = q->first;
        q->first = job->next;
        tier_job_free(job);
    }
    while (q->ended != NULL) {
        struct tier_job *job = q->ended;
        q->ended = job->next;
        tier_job_free(job);
    }
    close(q->ended_fd);
    pthread_cond_destroy(&q->added);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

/* With the lock. */
static void end_current(struct tier_queue *q)
{
    struct tier_job *job = q->current;
    q->current = NULL;
    if (job->is_told) {
        tier_job_free(job);
    } else {
        post(q, job);
    }
}

static void *run(void *context)
{
    struct tier_queue *q = context;
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), q->nice);
    pthread_mutex_lock(&q->lock);
    while (!q->is_stopping) {
        if (q->first == NULL) {
            pthread_cond_wait(&q->added, &q->lock);
            continue;
        }
        q->current = q->first;
        q->first = q->current->next;
        q->last = q->first == NULL ? &q->first : q->last;
        atomic_store(&q->moved_ms, clock_now_ms());
        pthread_mutex_unlock(&q->lock);
        carry_out(q, q->current);
        pthread_mutex_lock(&q->lock);
        end_current(q);
    }
    bool is_left = q->is_left;
    pthread_mutex_unlock(&q->lock);
    tier_close(&q->tier);
    if (is_left) {
        free_queue(q);
    }
    return NULL;
}

/* ---- the loop ---- */

enum ckpt_status tier_queue_make(const char *place, const struct tier_options *options,
                                 uint32_t timeout_ms, int nice, struct tier_queue **queue_out)
{
    struct tier_queue *q = calloc(1, sizeof(*q));
    if (q == NULL) {
        return CKPT_ERR_MEMORY;
    }
    q->place = place;
    q->options = *options;
    q->options.proceed = proceed;
    q->options.notice = notice;
    q->options.context = q;
    q->timeout_ms = timeout_ms;
    q->nice = nice;
    q->last = &q->first;
    q->ended_last = &q->ended;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->added, NULL);
    q->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->ended_fd < 0 || pthread_create(&q->thread, NULL, run, q) != 0) {
        free_queue(q);
        return CKPT_ERR_SYSTEM;
    }
    *queue_out = q;
    return CKPT_OK;
}

void tier_queue_free(struct tier_queue **queue)
{
    struct tier_queue *q = *queue;
    if (q == NULL) {
        return;
    }
    *queue = NULL;
    pthread_mutex_lock(&q->lock);
    q->is_stopping = true;
    pthread_cond_signal(&q->added);
    pthread_mutex_unlock(&q->lock);
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_WAIT_S;
    if (pthread_timedjoin_np(q->thread, NULL, &until) == 0) {
        free_queue(q);
        return;
    }
    pthread_mutex_lock(&q->lock);
    q->is_left = true;
    pthread_mutex_unlock(&q->lock);
    pthread_detach(q->thread);
}

int tier_queue_fd(const struct tier_queue *q)
{
    return q->ended_fd;
}

void tier_queue_add(struct tier_queue *q, struct tier_job *job)
{
    pthread_mutex_lock(&q->lock);
    job->next = NULL;
    *q->last = job;
    q->last = &job->next;
    pthread_cond_signal(&q->added);
    pthread_mutex_unlock(&q->lock);
}

static void fail(const struct tier_queue *q, struct tier_job *job)
{
    job->status = CKPT_ERR_TIMEOUT;
    reason_set(job->reason,
               "%.100s has taken nothing for %u s: look at its disk or its server; what hangs is "
               "given up",
               q->place, q->timeout_ms / 1000);
}

/* With the lock. The one that the thread is in stays the thread's: a copy of it ends. */
static void give_up(struct tier_queue *q)
{
    if (q->current == NULL || clock_now_ms() < atomic_load(&q->moved_ms) + q->timeout_ms) {
        return;
    }
    struct tier_job *copy = q->current->is_told ? NULL : calloc(1, sizeof(*copy));
    if (copy != NULL) {
        q->current->is_told = true;
        copy->work = q->current->work;
        fail(q, copy);
        post(q, copy);
    }
    while (q->first != NULL) {
        struct tier_job *job = q->first;
        q->first = job->next;
        fail(q, job);
        post(q, job);
    }
    q->last = &q->first;
}

struct tier_job *tier_queue_take(struct tier_queue *q)
{
    uint64_t count;
    (void)!read(q->ended_fd, &count, sizeof(count));
    pthread_mutex_lock(&q->lock);
    give_up(q);
    struct tier_job *ended = q->ended;
    q->ended = NULL;
    q->ended_last = &q->ended;
    pthread_mutex_unlock(&q->lock);
    return ended;
}

void tier_job_free(struct tier_job *job)
{
    if (job->arena != NULL) {
        arena_slot_unmap(job->arena, &job->view);
    }
    free(job);
}
