/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/ranks.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/reason.h"
#include "process/clock.h"

typedef enum ckpt_status step_of_rank(struct ranks *ranks, uint32_t rank);

struct walker {
    struct ranks *ranks;
    uint32_t rank;
    step_of_rank *step;
    pthread_barrier_t *barrier;
    uint64_t begin_ns;
    uint64_t end_ns;
    enum ckpt_status status;
};

static void *walk(void *context)
{
    struct walker *walker = context;
    if (walker->barrier != NULL) {
        pthread_barrier_wait(walker->barrier);
    }
    walker->begin_ns = clock_now_ns();
    walker->status = walker->step(walker->ranks, walker->rank);
    walker->end_ns = clock_now_ns();
    return NULL;
}

static void keep_reason(struct ranks *ranks, const struct walker *walker)
{
    const struct ckpt *context = ranks->contexts[walker->rank];
    const char *why = context != NULL ? ckpt_reason(context) : ranks->reason;
    char text[CKPT_REASON_MAX + 32];
    snprintf(text, sizeof(text), "rank %u: %s", walker->rank,
             why[0] != '\0' ? why : ckpt_status_text(walker->status));
    memcpy(ranks->reason, text, CKPT_REASON_MAX);
}

/* All ranks take the step; a thread that cannot be made would leave the others waiting, so one rank
 * needs none and many are made before any begins. */
static enum ckpt_status walk_all(struct ranks *ranks, step_of_rank *step, double *seconds_out)
{
    struct walker walkers[RANKS_MAX];
    pthread_t threads[RANKS_MAX];
    pthread_barrier_t barrier;
    uint32_t made = 1;
    bool many = ranks->count > 1;
    if (many && pthread_barrier_init(&barrier, NULL, ranks->count) != 0) {
        return CKPT_ERR_SYSTEM;
    }
    for (uint32_t i = 0; i < ranks->count; i++) {
        walkers[i] = (struct walker){
            .ranks = ranks, .rank = i, .step = step, .barrier = many ? &barrier : NULL};
    }
    while (made < ranks->count && pthread_create(&threads[made], NULL, walk, &walkers[made]) == 0) {
        made++;
    }
    if (made < ranks->count) {
        return reason_refuse(ranks->reason, CKPT_ERR_SYSTEM, "no thread for rank %u",
                             made); /* those made wait until the program ends, which is now */
    }
    walk(&walkers[0]);
    enum ckpt_status status = walkers[0].status;
    uint64_t begin = walkers[0].begin_ns;
    uint64_t end = walkers[0].end_ns;
    for (uint32_t i = 1; i < ranks->count; i++) {
        pthread_join(threads[i], NULL);
        begin = walkers[i].begin_ns < begin ? walkers[i].begin_ns : begin;
        end = walkers[i].end_ns > end ? walkers[i].end_ns : end;
    }
    for (uint32_t i = 0; i < ranks->count; i++) {
        if (walkers[i].status != CKPT_OK) {
            status = walkers[i].status;
            keep_reason(ranks, &walkers[i]);
            break;
        }
    }
    if (many) {
        pthread_barrier_destroy(&barrier);
    }
    *seconds_out = (double)(end - begin) / 1e9;
    return status;
}

enum ckpt_status ranks_open(struct ranks *ranks, const char *socket)
{
    ranks->attempt++;
    for (uint32_t i = 0; i < ranks->count; i++) {
        struct ckpt_options options = {
            .size = sizeof(options),
            .socket = socket,
            .run = ranks->run,
            .attempt = ranks->attempt,
            .rank = i,
            .world = ranks->count,
            .copies = 2,
            .timeout_ms = ranks->timeout_ms,
            .copy_threads = ranks->copy_threads,
        };
        enum ckpt_status status =
            ckpt_open_reason(&options, &ranks->contexts[i], ranks->reason, sizeof(ranks->reason));
        if (status != CKPT_OK) {
            return status;
        }
    }
    return CKPT_OK;
}

static enum ckpt_status save_one(struct ranks *ranks, uint32_t rank)
{
    return ckpt_save_bytes(ranks->contexts[rank], ranks->step, ranks->data + rank * ranks->bytes,
                           ranks->bytes);
}

enum ckpt_status ranks_save(struct ranks *ranks, double *seconds_out)
{
    ranks->step++;
    return walk_all(ranks, save_one, seconds_out);
}

static enum ckpt_status wait_one(struct ranks *ranks, uint32_t rank)
{
    return ckpt_wait(ranks->contexts[rank], ranks->step, ranks->timeout_ms);
}

enum ckpt_status ranks_wait(struct ranks *ranks, double *seconds_out)
{
    return walk_all(ranks, wait_one, seconds_out);
}

static enum ckpt_status load_one(struct ranks *ranks, uint32_t rank)
{
    return ckpt_load(ranks->contexts[rank], CKPT_STEP_LATEST, ranks->timeout_ms,
                     &ranks->shards[rank]);
}

enum ckpt_status ranks_load(struct ranks *ranks, double *seconds_out)
{
    enum ckpt_status status = walk_all(ranks, load_one, seconds_out);
    if (status == CKPT_OK && ranks->shards[0].step != ranks->step) {
        return reason_refuse(ranks->reason, CKPT_ERR_STEP, "step %llu was loaded, not %llu",
                             (unsigned long long)ranks->shards[0].step,
                             (unsigned long long)ranks->step);
    }
    return status;
}

enum ckpt_status ranks_compare(struct ranks *ranks)
{
    for (uint32_t i = 0; i < ranks->count; i++) {
        struct ckpt_tensor tensor;
        enum ckpt_status status = ckpt_find(&ranks->shards[i], "bytes", &tensor);
        if (status != CKPT_OK || tensor.bytes != ranks->bytes ||
            memcmp(tensor.data, ranks->data + i * ranks->bytes, ranks->bytes) != 0) {
            return reason_refuse(ranks->reason, CKPT_ERR_CORRUPT,
                                 "rank %u: other bytes were loaded than were saved", i);
        }
    }
    return CKPT_OK;
}

void ranks_close(struct ranks *ranks)
{
    for (uint32_t i = 0; i < ranks->count; i++) {
        if (ranks->contexts[i] != NULL && ranks->shards[i].data != NULL) {
            ckpt_unload(ranks->contexts[i], &ranks->shards[i]);
        }
        ckpt_close(&ranks->contexts[i]);
    }
}
