/* SPDX-License-Identifier: Apache-2.0 */
#include "store/thread.h"

#include <stdlib.h>
#include <time.h>

#include "store/backend.h"
#include "store/medium.h"

struct threaded {
    struct store store;
    struct medium_place place; /* the thread's */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct store_call *waiting; /* in their order */
    struct store_call **last_waiting;
    bool ending;
    bool has_ended; /* the thread */
};

/* The next call, or NULL when the store is to be closed. */
static struct store_call *take(struct threaded *t)
{
    struct store_call *call = NULL;
    pthread_mutex_lock(&t->lock);
    while (t->waiting == NULL && !t->ending) {
        pthread_cond_wait(&t->changed, &t->lock);
    }
    if (!t->ending) {
        call = t->waiting;
        t->waiting = call->next;
        if (t->waiting == NULL) {
            t->last_waiting = &t->waiting;
        }
    }
    pthread_mutex_unlock(&t->lock);
    return call;
}

static void *run(void *context)
{
    struct threaded *t = context;
    struct store_call *call;
    while ((call = take(t)) != NULL) {
        medium_do(&t->place, call);
        backend_answer(&t->store, call);
    }
    medium_close(&t->place);
    pthread_mutex_lock(&t->lock);
    t->has_ended = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static void give_back(struct threaded *t)
{
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    backend_end(&t->store);
    free(t);
}

enum ckpt_status thread_make(const struct store_backend *backend, const char *location,
                             struct store_progress *progress, struct store **store_out)
{
    pthread_condattr_t monotonic;
    struct threaded *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return CKPT_ERR_MEMORY;
    }
    t->place =
        (struct medium_place){.kind = backend->medium, .location = location, .progress = progress};
    t->last_waiting = &t->waiting;
    if (backend_begin(&t->store, backend) != CKPT_OK) {
        free(t);
        return CKPT_ERR_SYSTEM;
    }
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&t->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&t->thread, NULL, run, t) != 0) {
        give_back(t);
        return CKPT_ERR_SYSTEM;
    }
    *store_out = &t->store;
    return CKPT_OK;
}

void thread_begin(struct store *store, struct store_call *call)
{
    struct threaded *t = (struct threaded *)store;
    call->next = NULL;
    pthread_mutex_lock(&t->lock);
    *t->last_waiting = call;
    t->last_waiting = &call->next;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

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

bool thread_close(struct store *store, uint32_t wait_ms)
{
    struct threaded *t = (struct threaded *)store;
    struct timespec until = later(wait_ms);
    int result = 0;
    pthread_mutex_lock(&t->lock);
    t->ending = true;
    pthread_cond_broadcast(&t->changed);
    while (!t->has_ended && result == 0) {
        result = pthread_cond_timedwait(&t->changed, &t->lock, &until);
    }
    bool has_ended = t->has_ended;
    pthread_mutex_unlock(&t->lock);
    if (!has_ended) {
        return false;
    }
    pthread_join(t->thread, NULL);
    give_back(t);
    return true;
}
