/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/keeper.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct keeper {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int fd; /* counts what is done */
    struct event *done_event;
    struct keeper_task *waiting; /* in their order */
    struct keeper_task **last_waiting;
    struct keeper_task *done;
    struct keeper_task **last_done;
    bool ending;
    bool has_ended; /* the thread */
};

static struct timespec later(uint32_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

/* The next task, or NULL when the process is to end. */
static struct keeper_task *take(struct keeper *keeper)
{
    struct keeper_task *task = NULL;
    pthread_mutex_lock(&keeper->lock);
    while (!keeper->waiting && !keeper->ending) {
        pthread_cond_wait(&keeper->changed, &keeper->lock);
    }
    if (!keeper->ending) {
        task = keeper->waiting;
        keeper->waiting = task->next;
        if (!keeper->waiting) {
            keeper->last_waiting = &keeper->waiting;
        }
    }
    pthread_mutex_unlock(&keeper->lock);
    return task;
}

static void *work(void *context)
{
    struct keeper *keeper = context;
    struct keeper_task *task;
    const uint64_t one = 1;
    while ((task = take(keeper)) != NULL) {
        task->run(keeper, task->context);
        pthread_mutex_lock(&keeper->lock);
        task->next = NULL;
        *keeper->last_done = task;
        keeper->last_done = &task->next;
        pthread_mutex_unlock(&keeper->lock);
        (void)!write(keeper->fd, &one, sizeof(one)); /* it fails only where it need not be told */
    }
    pthread_mutex_lock(&keeper->lock);
    keeper->has_ended = true;
    pthread_cond_broadcast(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

static void on_done(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    struct keeper *keeper = context;
    uint64_t count;
    (void)!read(fd, &count, sizeof(count));
    pthread_mutex_lock(&keeper->lock);
    struct keeper_task *task = keeper->done;
    keeper->done = NULL;
    keeper->last_done = &keeper->done;
    pthread_mutex_unlock(&keeper->lock);
    while (task) {
        struct keeper_task *next = task->next;
        task->done(task->context);
        task = next;
    }
}

static void give_back(struct keeper *keeper)
{
    if (keeper->done_event) {
        event_free(keeper->done_event);
    }
    if (keeper->fd >= 0) {
        close(keeper->fd);
    }
    pthread_cond_destroy(&keeper->changed);
    pthread_mutex_destroy(&keeper->lock);
    free(keeper);
}

enum ckpt_status keeper_open(struct event_base *base, struct keeper **keeper_out)
{
    struct keeper *keeper = calloc(1, sizeof(*keeper));
    pthread_condattr_t monotonic;
    if (!keeper) {
        return CKPT_ERR_MEMORY;
    }
    keeper->last_waiting = &keeper->waiting;
    keeper->last_done = &keeper->done;
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&keeper->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    keeper->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (keeper->fd >= 0) {
        keeper->done_event = event_new(base, keeper->fd, EV_READ | EV_PERSIST, on_done, keeper);
    }
    if (!keeper->done_event || event_add(keeper->done_event, NULL) != 0 ||
        pthread_create(&keeper->thread, NULL, work, keeper) != 0) {
        give_back(keeper);
        return CKPT_ERR_SYSTEM;
    }
    *keeper_out = keeper;
    return CKPT_OK;
}

void keeper_add(struct keeper *keeper, struct keeper_task *task)
{
    pthread_mutex_lock(&keeper->lock);
    task->next = NULL;
    *keeper->last_waiting = task;
    keeper->last_waiting = &task->next;
    pthread_cond_signal(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
}

bool keeper_sleep(struct keeper *keeper, uint32_t ms)
{
    struct timespec until = later(ms);
    int result = 0;
    pthread_mutex_lock(&keeper->lock);
    while (!keeper->ending && result == 0) {
        result = pthread_cond_timedwait(&keeper->changed, &keeper->lock, &until);
    }
    bool goes_on = !keeper->ending;
    pthread_mutex_unlock(&keeper->lock);
    return goes_on;
}

bool keeper_close(struct keeper **keeper, uint32_t wait_ms)
{
    if (!keeper || !*keeper) {
        return true;
    }
    struct keeper *old = *keeper;
    struct timespec until = later(wait_ms);
    *keeper = NULL;
    pthread_mutex_lock(&old->lock);
    old->ending = true;
    pthread_cond_broadcast(&old->changed);
    int result = 0;
    while (!old->has_ended && result == 0) {
        result = pthread_cond_timedwait(&old->changed, &old->lock, &until);
    }
    bool has_ended = old->has_ended;
    pthread_mutex_unlock(&old->lock);
    if (!has_ended) {
        return false;
    }
    pthread_join(old->thread, NULL);
    give_back(old);
    return true;
}
