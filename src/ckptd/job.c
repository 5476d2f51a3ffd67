/* SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "completions.h"

static bool is_digested(enum job_kind kind)
{
    return kind == JOB_DIGEST || kind == JOB_READ;
}

struct job *job_make(enum job_kind kind, uint64_t work, uint32_t slot, uint64_t generation,
                     uint64_t bytes, const uint16_t *segments, uint32_t n, struct arena *arena,
                     struct completions *completions, const struct digest_engine *engine)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return NULL;
    }
    job->kind = kind;
    job->work = work;
    job->slot = slot;
    job->generation = generation;
    job->bytes = bytes;
    job->arena = arena;
    job->completions = completions;
    job->engine = engine;
    job->segment_count = n;
    job->chunk_count = is_digested(kind) ? digest_chunk_count(bytes) : 1;
    atomic_init(&job->holders, 1);
    atomic_init(&job->status, CKPT_OK);
    atomic_init(&job->cancelled, false);
    job->segments = calloc(n, sizeof *job->segments);
    job->cvs = calloc(job->chunk_count, DIGEST_CV_BYTES);
    if (job->segments == NULL || job->cvs == NULL) {
        job_free(job);
        return NULL;
    }
    memcpy(job->segments, segments, n * sizeof *segments);
    return job;
}

bool job_take_offer(struct job *job, uint32_t link, const struct message_offer *offer)
{
    job->link = link;
    job->region_bytes = offer->segment_bytes;
    job->region_count = offer->region_count;
    job->address_bytes = offer->worker_address_bytes;
    job->address = malloc(offer->worker_address_bytes + 1);
    job->regions = calloc(offer->region_count + 1, sizeof *job->regions);
    if (job->address == NULL || job->regions == NULL) {
        return false;
    }
    memcpy(job->address, offer->worker_address, offer->worker_address_bytes);
    for (uint32_t i = 0; i < offer->region_count; i++) {
        assert(offer->regions[i].bytes <= CKPT_DESCRIPTOR_MAX);
        job->regions[i].bytes = offer->regions[i].bytes;
        memcpy(job->regions[i].descriptor, offer->regions[i].descriptor, offer->regions[i].bytes);
    }
    return true;
}

bool job_take_gather(struct job *job, const struct message_gather *ask, int descriptor)
{
    size_t bytes = ask->range_count * sizeof(ask->ranges[0]);
    job->gather = calloc(1, sizeof(*job->gather) + bytes);
    job->regions = calloc(1, sizeof(*job->regions));
    if (job->gather == NULL || job->regions == NULL) {
        if (job->gather != NULL) {
            job->gather->descriptor = -1;
        }
        if (descriptor >= 0) {
            close(descriptor);
        }
        return false;
    }
    job->gather->descriptor = descriptor;
    job->gather->range_count = ask->range_count;
    memcpy(job->gather->ranges, ask->ranges, bytes);
    return true;
}

void job_hold(struct job *job)
{
    atomic_fetch_add(&job->holders, 1);
}

void job_fail(struct job *job, enum ckpt_status status)
{
    int ok = CKPT_OK;
    assert(status != CKPT_OK);
    atomic_compare_exchange_strong(&job->status, &ok, (int)status);
}

bool job_has_failed(const struct job *job)
{
    return atomic_load(&job->cancelled) || atomic_load(&job->status) != CKPT_OK;
}

/* What was computed over memory that a trainer may have cut is believed only when the files are
 * whole. */
static void finish(struct job *job)
{
    if (atomic_load(&job->cancelled)) {
        job_fail(job, CKPT_ERR_ABORTED);
    }
    if (job->kind != JOB_RENEW && atomic_load(&job->status) == CKPT_OK) {
        enum ckpt_status status =
            arena_segments_check(job->arena, job->segments, job->segment_count);
        if (status == CKPT_OK && is_digested(job->kind)) {
            status = digest_fold(job->cvs, job->chunk_count, job->bytes, &job->digest);
        }
        if (status != CKPT_OK) {
            job_fail(job, status);
        }
    }
    completions_post_job(job->completions, job);
}

void job_release(struct job *job)
{
    if (atomic_fetch_sub(&job->holders, 1) == 1) {
        finish(job);
    }
}

void job_free(struct job *job)
{
    if (job == NULL) {
        return;
    }
    if (job->gather != NULL && job->gather->descriptor >= 0) {
        close(job->gather->descriptor);
    }
    free(job->gather);
    free(job->segments);
    free(job->cvs);
    free(job->address);
    free(job->regions);
    free(job->wanting);
    free(job);
}

uint8_t *job_chunk_address(const struct job *job, uint64_t chunk)
{
    uint64_t segment_bytes = arena_segment_bytes(job->arena);
    uint64_t offset = chunk * CKPT_CHUNK_BYTES;
    uint64_t index = offset / segment_bytes;
    assert(index < job->segment_count);
    return arena_segment_address(job->arena, job->segments[index]) + offset % segment_bytes;
}

uint64_t job_chunk_bytes(const struct job *job, uint64_t chunk)
{
    return digest_chunk_bytes(chunk, job->bytes);
}
