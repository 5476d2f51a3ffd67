/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/digester.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "mover/rails.h"

/* Landed chunks that wait; more are digested by the thread that brought them: back-pressure. About
 * as many as a last-level cache holds. */
#define LANDED_MAX 32

/* The newest chunk is digested first, while it is in the caches: 5 % less CPU time a replicated
 * byte on a Zen 4 (docs/benchmarks.md). Each so-manieth is the oldest, so that none waits for a
 * lull. */
#define OLDEST_EVERY 8

struct landed {
    struct work *work;
    uint64_t chunk;
};

struct digester {
    pthread_mutex_t lock;
    pthread_cond_t added;
    bool stopping;
    bool held;
    int nice;
    cpu_set_t cpus;
    struct landed landed[LANDED_MAX];
    uint32_t landed_first;
    uint32_t landed_count;
    uint32_t landed_taken;
    struct work *first_work;
    struct work **last_work;
    uint32_t thread_count;
    pthread_t threads[64];
};

static void digest_one(struct work *work, uint64_t chunk)
{
    if (!work_has_failed(work)) {
        enum ckpt_status status = work_digest_chunk(work, chunk);
        if (status != CKPT_OK) {
            work_fail(work, status);
        }
    }
    work_release(work);
}

/* Zeroes what nobody else has open; the rest wants new files, which are the mover's to make, as it
 * has the old ones registered. */
static void renew(struct work *work)
{
    work->wanting = calloc(work->plan.segment_count + 1, sizeof *work->wanting);
    enum ckpt_status status =
        work->wanting == NULL
            ? CKPT_ERR_MEMORY
            : arena_segments_pass(work->plan.arena, work->segments, work->plan.segment_count,
                                  work->wanting, &work->wanting_count);
    if (status != CKPT_OK) {
        work_fail(work, status);
    } else if (work->wanting_count > 0) {
        work_hand_back(work);
        return;
    }
    work_release(work);
}

static struct landed take_landed(struct digester *d)
{
    uint32_t at = d->landed_first;
    if (++d->landed_taken % OLDEST_EVERY == 0) {
        d->landed_first = (d->landed_first + 1) % LANDED_MAX;
    } else {
        at = (d->landed_first + d->landed_count - 1) % LANDED_MAX;
    }
    d->landed_count--;
    return d->landed[at];
}

/* What points to the oldest work that may be worked at. */
static struct work **find_work(struct digester *d)
{
    struct work **at = &d->first_work;
    while (*at != NULL && d->held && (*at)->plan.type == WORK_DIGEST) {
        at = &(*at)->next;
    }
    return at;
}

/* The next piece of work; false: stopping. Called with the lock held. */
static bool next(struct digester *d, struct landed *piece_out, bool *whole_out)
{
    while (!d->stopping) {
        if (d->landed_count > 0) {
            *piece_out = take_landed(d);
            *whole_out = false;
            return true;
        }
        struct work **at = find_work(d);
        struct work *work = *at;
        if (work != NULL) {
            *piece_out = (struct landed){.work = work, .chunk = work->chunk_next++};
            *whole_out = work->plan.type == WORK_RENEW;
            if (work->chunk_next == work->chunk_end) {
                *at = work->next;
                if (*at == NULL) {
                    d->last_work = at;
                }
            }
            return true;
        }
        pthread_cond_wait(&d->added, &d->lock);
    }
    return false;
}

static void *run(void *context)
{
    struct digester *d = context;
    struct landed piece;
    bool whole;
    rails_bind_thread(&d->cpus);
    id_t thread = (id_t)syscall(SYS_gettid);
    (void)setpriority(PRIO_PROCESS, thread, getpriority(PRIO_PROCESS, thread) + d->nice);
    pthread_mutex_lock(&d->lock);
    while (next(d, &piece, &whole)) {
        pthread_mutex_unlock(&d->lock);
        if (whole) {
            renew(piece.work);
        } else {
            digest_one(piece.work, piece.chunk);
        }
        pthread_mutex_lock(&d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

enum ckpt_status digester_start(uint32_t threads, int nice, const cpu_set_t *cpus,
                                struct digester **digester_out)
{
    assert(threads >= 1 && threads <= 64);
    struct digester *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return CKPT_ERR_MEMORY;
    }
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->added, NULL);
    d->last_work = &d->first_work;
    d->nice = nice;
    d->cpus = *cpus;
    for (; d->thread_count < threads; d->thread_count++) {
        if (pthread_create(&d->threads[d->thread_count], NULL, run, d) != 0) {
            digester_stop(&d);
            return CKPT_ERR_SYSTEM;
        }
        (void)pthread_setname_np(d->threads[d->thread_count], "digest");
    }
    *digester_out = d;
    return CKPT_OK;
}

void digester_stop(struct digester **digester)
{
    struct digester *d = *digester;
    if (d == NULL) {
        return;
    }
    pthread_mutex_lock(&d->lock);
    d->stopping = true;
    pthread_cond_broadcast(&d->added);
    pthread_mutex_unlock(&d->lock);
    for (uint32_t i = 0; i < d->thread_count; i++) {
        pthread_join(d->threads[i], NULL);
    }
    while (d->landed_count > 0) {
        struct work *work = take_landed(d).work;
        work_fail(work, CKPT_ERR_ABORTED);
        work_release(work);
    }
    while (d->first_work != NULL) {
        struct work *work = d->first_work;
        d->first_work = work->next;
        work_fail(work, CKPT_ERR_ABORTED);
        for (uint64_t i = work->chunk_next; i < work->chunk_end; i++) {
            work_release(work);
        }
    }
    pthread_cond_destroy(&d->added);
    pthread_mutex_destroy(&d->lock);
    free(d);
    *digester = NULL;
}

void digester_add(struct digester *digester, struct work *work)
{
    /* One hold a chunk: the caller's is the first. */
    atomic_fetch_add(&work->holders, work->chunk_end - work->chunk_next - 1);
    work->next = NULL;
    pthread_mutex_lock(&digester->lock);
    *digester->last_work = work;
    digester->last_work = &work->next;
    pthread_cond_broadcast(&digester->added);
    pthread_mutex_unlock(&digester->lock);
}

void digester_hold(struct digester *digester, bool held)
{
    pthread_mutex_lock(&digester->lock);
    digester->held = held;
    if (!held && digester->first_work != NULL) {
        pthread_cond_broadcast(&digester->added);
    }
    pthread_mutex_unlock(&digester->lock);
}

void digester_add_chunk(struct digester *digester, struct work *work, uint64_t chunk)
{
    bool queued = false;
    pthread_mutex_lock(&digester->lock);
    if (digester->landed_count < LANDED_MAX && !digester->stopping) {
        uint32_t at = (digester->landed_first + digester->landed_count) % LANDED_MAX;
        digester->landed[at] = (struct landed){.work = work, .chunk = chunk};
        digester->landed_count++;
        queued = true;
        pthread_cond_signal(&digester->added);
    }
    pthread_mutex_unlock(&digester->lock);
    if (!queued) {
        digest_one(work, chunk);
    }
}
