/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/digester.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "mover/rails.h"

/* Landed chunks that wait; more are digested by the thread that brought them: back-pressure. About
 * as many as a last-level cache holds. */
#define LANDED_MAX 32

/* The newest chunk is digested first, while it is in the caches: 5 % less CPU time a replicated
 * byte on a Zen 4 (docs/benchmarks.md). Each so-manieth is the oldest, so that none waits for a
 * lull. */
#define OLDEST_EVERY 8

/* A scrub goes on when nothing has landed, nor been digested, for so long. */
#define SCRUB_AFTER_MS 20
/* One that has lost its patience gets a chunk in so long, whatever else there is: 250 MB/s. */
#define SCRUB_EACH_MS 4

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
    /* One at a time, on one thread at a time: a core at most. */
    struct work *scrub;
    uint64_t scrub_until_ms; /* it stands back */
    bool scrubs;             /* a thread is at a chunk of it */
    bool saves;              /* a rank copies */
    uint64_t busy_ms;        /* when there was last something else to do */
    uint64_t scrub_ms;       /* when its last chunk was taken */
    uint32_t thread_count;
    pthread_t threads[64];
};

/* Whether a thread may take a chunk of the scrub now; else it tells when to look again. */
static bool may_scrub(const struct digester *d, uint64_t now_ms, uint64_t *again_ms_out)
{
    *again_ms_out = UINT64_MAX;
    if (d->scrub == NULL || d->scrubs) {
        return false; /* who scrubs looks for the next one himself */
    }
    bool is_busy = d->saves || d->held || d->landed_count > 0 || d->first_work != NULL;
    uint64_t idle_ms = d->busy_ms + SCRUB_AFTER_MS;
    if (now_ms >= d->scrub_until_ms) {
        *again_ms_out = is_busy ? d->scrub_ms + SCRUB_EACH_MS : 0;
    } else if (is_busy || idle_ms > d->scrub_until_ms) {
        *again_ms_out = d->scrub_until_ms;
    } else {
        *again_ms_out = idle_ms;
    }
    return *again_ms_out <= now_ms;
}

/* Whether it is the turn of a scrub that has waited long enough, before what else there is. */
static bool is_scrubs_turn(const struct digester *d)
{
    uint64_t again_ms;
    if (d->scrub == NULL) {
        return false;
    }
    uint64_t now_ms = clock_now_ms();
    return now_ms >= d->scrub_until_ms && may_scrub(d, now_ms, &again_ms);
}

static struct landed take_scrub(struct digester *d)
{
    assert(d->scrub != NULL);
    struct landed piece = {.work = d->scrub, .chunk = d->scrub->chunk_next++};
    d->scrubs = true;
    d->scrub_ms = clock_now_ms();
    if (d->scrub->chunk_next == d->scrub->chunk_end) {
        d->scrub = NULL;
    }
    return piece;
}

/* Until there is something to do, or it is time to go on with a scrub. */
static void await(struct digester *d, uint64_t until_ms)
{
    if (until_ms == UINT64_MAX) {
        pthread_cond_wait(&d->added, &d->lock);
        return;
    }
    const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                   .tv_nsec = (long)(until_ms % 1000) * 1000000};
    (void)pthread_cond_timedwait(&d->added, &d->lock, &until);
}

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
        uint64_t again_ms;
        *whole_out = false;
        if (is_scrubs_turn(d)) {
            *piece_out = take_scrub(d);
            return true;
        }
        if (d->landed_count > 0) {
            *piece_out = take_landed(d);
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
        if (may_scrub(d, clock_now_ms(), &again_ms)) {
            *piece_out = take_scrub(d);
            return true;
        }
        await(d, again_ms);
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
        bool scrubs = piece.work->plan.scrubs;
        pthread_mutex_unlock(&d->lock);
        if (whole) {
            renew(piece.work);
        } else {
            digest_one(piece.work, piece.chunk);
        }
        pthread_mutex_lock(&d->lock);
        if (scrubs) {
            d->scrubs = false;
        } else if (d->scrub != NULL) {
            d->busy_ms = clock_now_ms();
        }
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
    pthread_condattr_t monotonic;
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&d->added, &monotonic);
    pthread_condattr_destroy(&monotonic);
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

/* What was not begun of it never is. */
static void drop(struct work *work)
{
    uint64_t left = work->chunk_end - work->chunk_next;
    work_fail(work, CKPT_ERR_ABORTED);
    for (; left > 0; left--) {
        work_release(work);
    }
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
        drop(work);
    }
    if (d->scrub != NULL) {
        drop(d->scrub);
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
    if (work->plan.scrubs) {
        assert(digester->scrub == NULL);
        digester->scrub = work;
        digester->scrub_until_ms = clock_now_ms() + work->plan.patience_ms;
    } else {
        *digester->last_work = work;
        digester->last_work = &work->next;
    }
    pthread_cond_broadcast(&digester->added);
    pthread_mutex_unlock(&digester->lock);
}

bool digester_cancel(struct digester *digester, uint64_t number)
{
    struct work *work = NULL;
    pthread_mutex_lock(&digester->lock);
    if (digester->scrub != NULL && digester->scrub->plan.number == number) {
        work = digester->scrub;
        digester->scrub = NULL;
    }
    pthread_mutex_unlock(&digester->lock);
    if (work != NULL) {
        drop(work);
    }
    return work != NULL;
}

void digester_saves(struct digester *digester, bool saves)
{
    pthread_mutex_lock(&digester->lock);
    digester->saves = saves;
    if (!saves && digester->scrub != NULL) {
        digester->busy_ms = clock_now_ms();
        pthread_cond_broadcast(&digester->added);
    }
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
