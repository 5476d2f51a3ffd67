/* SPDX-License-Identifier: Apache-2.0 */
#include "digester.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "mover.h"
#include "rails.h"

/* Landed chunks that wait; more are digested by the thread that brought them: back-pressure. About
 * as many as a last-level cache holds. */
#define LANDED_MAX 32

/* The newest chunk is digested first, while it is in the caches: 5 % less CPU time a replicated
 * byte on a Zen 4 (docs/benchmarks.md). Each so-manieth is the oldest, so that none waits for a
 * lull. */
#define OLDEST_EVERY 8

struct landed {
    struct job *job;
    uint64_t chunk;
};

struct digester {
    pthread_mutex_t lock;
    pthread_cond_t work;
    bool stopping;
    bool held;
    int nice;
    cpu_set_t cpus;
    struct landed landed[LANDED_MAX];
    uint32_t landed_first;
    uint32_t landed_count;
    uint32_t landed_taken;
    struct job *first_job;
    struct job **last_job;
    struct mover *mover;
    uint32_t thread_count;
    pthread_t threads[64];
};

static void digest_one(struct job *job, uint64_t chunk)
{
    if (!job_has_failed(job)) {
        enum ckpt_status status =
            digest_chunk(job->engine, job_chunk_address(job, chunk), job_chunk_bytes(job, chunk),
                         chunk, job->bytes, job->cvs + chunk * DIGEST_CV_BYTES);
        if (status != CKPT_OK) {
            job_fail(job, status);
        }
    }
    job_release(job);
}

/* Zeroes what nobody else has open; the rest gets new files, by the mover, which has it registered.
 */
static void renew(struct digester *d, struct job *job)
{
    job->wanting = calloc(job->segment_count + 1, sizeof *job->wanting);
    enum ckpt_status status =
        job->wanting == NULL ? CKPT_ERR_MEMORY
                             : arena_segments_pass(job->arena, job->segments, job->segment_count,
                                                   job->wanting, &job->wanting_count);
    if (status != CKPT_OK) {
        job_fail(job, status);
    } else if (job->wanting_count > 0) {
        mover_renew(d->mover, job);
        return;
    }
    job_release(job);
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

/* What points to the oldest job that may be worked at. */
static struct job **find_job(struct digester *d)
{
    struct job **at = &d->first_job;
    while (*at != NULL && d->held && (*at)->kind == JOB_DIGEST) {
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
        struct job **at = find_job(d);
        struct job *job = *at;
        if (job != NULL) {
            *piece_out = (struct landed){.job = job, .chunk = job->chunk_next++};
            *whole_out = job->kind == JOB_RENEW;
            if (job->chunk_next == job->chunk_count) {
                *at = job->next;
                if (*at == NULL) {
                    d->last_job = at;
                }
            }
            return true;
        }
        pthread_cond_wait(&d->work, &d->lock);
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
            renew(d, piece.job);
        } else {
            digest_one(piece.job, piece.chunk);
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
    pthread_cond_init(&d->work, NULL);
    d->last_job = &d->first_job;
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

void digester_set_mover(struct digester *digester, struct mover *mover)
{
    digester->mover = mover;
}

void digester_stop(struct digester **digester)
{
    struct digester *d = *digester;
    if (d == NULL) {
        return;
    }
    pthread_mutex_lock(&d->lock);
    d->stopping = true;
    pthread_cond_broadcast(&d->work);
    pthread_mutex_unlock(&d->lock);
    for (uint32_t i = 0; i < d->thread_count; i++) {
        pthread_join(d->threads[i], NULL);
    }
    while (d->landed_count > 0) {
        struct job *job = take_landed(d).job;
        job_fail(job, CKPT_ERR_ABORTED);
        job_release(job);
    }
    while (d->first_job != NULL) {
        struct job *job = d->first_job;
        d->first_job = job->next;
        job_fail(job, CKPT_ERR_ABORTED);
        for (uint64_t i = job->chunk_next; i < job->chunk_count; i++) {
            job_release(job);
        }
    }
    pthread_cond_destroy(&d->work);
    pthread_mutex_destroy(&d->lock);
    free(d);
    *digester = NULL;
}

void digester_add(struct digester *digester, struct job *job)
{
    /* One hold a chunk: the caller's is the first. */
    atomic_fetch_add(&job->holders, job->chunk_count - 1);
    job->next = NULL;
    pthread_mutex_lock(&digester->lock);
    *digester->last_job = job;
    digester->last_job = &job->next;
    pthread_cond_broadcast(&digester->work);
    pthread_mutex_unlock(&digester->lock);
}

void digester_hold(struct digester *digester, bool held)
{
    pthread_mutex_lock(&digester->lock);
    digester->held = held;
    if (!held && digester->first_job != NULL) {
        pthread_cond_broadcast(&digester->work);
    }
    pthread_mutex_unlock(&digester->lock);
}

void digester_add_chunk(struct digester *digester, struct job *job, uint64_t chunk)
{
    bool queued = false;
    pthread_mutex_lock(&digester->lock);
    if (digester->landed_count < LANDED_MAX && !digester->stopping) {
        uint32_t at = (digester->landed_first + digester->landed_count) % LANDED_MAX;
        digester->landed[at] = (struct landed){.job = job, .chunk = chunk};
        digester->landed_count++;
        queued = true;
        pthread_cond_signal(&digester->work);
    }
    pthread_mutex_unlock(&digester->lock);
    if (!queued) {
        digest_one(job, chunk);
    }
}
