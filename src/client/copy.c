/* SPDX-License-Identifier: Apache-2.0 */
#include "client/copy.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/fault_point.h"
#include "base/limits.h"
#include "base/stream_copy.h"

/* Small enough that two threads end together, large enough that taking one costs nothing. */
#define BLOCK_BYTES (4 * CKPT_MIB)

struct copy_job {
    uint8_t *to;
    const struct copy_piece *pieces;
    size_t count;
    uint64_t bytes;
    atomic_uint_fast64_t next; /* block */
};

/* The piece that has byte `at` of all. */
static size_t find_piece(const struct copy_job *job, uint64_t at)
{
    size_t low = 0;
    size_t high = job->count - 1;
    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;
        if (job->pieces[middle].before <= at) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

static void copy_block(const struct copy_job *job, uint64_t block)
{
    uint64_t at = block * BLOCK_BYTES;
    uint64_t end = job->bytes - at < BLOCK_BYTES ? job->bytes : at + BLOCK_BYTES;
    for (size_t i = find_piece(job, at); at < end; i++) {
        const struct copy_piece *piece = &job->pieces[i];
        uint64_t inside = at - piece->before;
        uint64_t bytes = piece->bytes - inside;
        bytes = bytes < end - at ? bytes : end - at;
        stream_copy(job->to + piece->offset + inside, piece->from + inside, (size_t)bytes);
        at += bytes;
    }
}

static void *copy_blocks(void *argument)
{
    struct copy_job *job = argument;
    uint64_t blocks = (job->bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
    for (;;) {
        uint64_t block = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
        if (block >= blocks) {
            return NULL;
        }
        copy_block(job, block);
        FAULT_POINT(client_save_mid_copy);
    }
}

/* Threads of a library must not run the program's signal handlers. */
static uint32_t start(pthread_t *threads, uint32_t wanted, struct copy_job *job)
{
    sigset_t all;
    sigset_t before;
    uint32_t started = 0;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started < wanted && pthread_create(&threads[started], NULL, copy_blocks, job) == 0) {
        started++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

void copy_pieces(uint8_t *to, const struct copy_piece *pieces, size_t count, uint32_t threads)
{
    if (count == 0) {
        return;
    }
    struct copy_job job = {.to = to, .pieces = pieces, .count = count};
    job.bytes = pieces[count - 1].before + pieces[count - 1].bytes;
    uint64_t blocks = (job.bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
    pthread_t others[COPY_THREADS_MAX];
    uint32_t helpers = threads > COPY_THREADS_MAX ? COPY_THREADS_MAX : threads;
    if (helpers > blocks) {
        helpers = (uint32_t)blocks;
    }
    uint32_t started = helpers > 1 ? start(others, helpers - 1, &job) : 0;
    (void)copy_blocks(&job);
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(others[i], NULL);
    }
}
