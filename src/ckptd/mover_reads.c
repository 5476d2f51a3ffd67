/* SPDX-License-Identifier: Apache-2.0 */
/* Reads under way: slices in flight, and the ways to the peers they are read from. */
#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "base/fault_point.h"
#include "base/log.h"
#include "mover_state.h"

static struct way *way_find(struct mover *m, uint32_t link)
{
    for (struct way *way = m->ways; way != NULL; way = way->next) {
        if (way->link == link && !way->failed) {
            return way;
        }
    }
    return NULL;
}

/* Each order to read from such a peer tries anew. */
static void report_refusal(struct mover *m, enum ckpt_status status)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    struct rare *rare = rare_find(m->refused, MOVER_REFUSED, 1 + (uint64_t)status, now_ms);
    if (rare != NULL && rare_happens(rare, now_ms)) {
        log_event(EVENT_peer_transport_refused, "own=%s status=%s hint=%s", m->spec,
                  ckpt_status_name(status),
                  LOG_QUOTED(status == CKPT_ERR_LINK
                                 ? "no device of this node reaches any address of the peer's"
                                 : "the peer's transport is another one, or of another version: "
                                   "set the same [transport] spec on all agents, and run one "
                                   "version of ckptd"));
    }
}

static enum ckpt_status way_for(struct mover *m, const struct job *job, struct way **way_out)
{
    struct way *way = way_find(m, job->link);
    if (way != NULL) {
        *way_out = way;
        return CKPT_OK;
    }
    way = calloc(1, sizeof *way);
    if (way == NULL) {
        return CKPT_ERR_MEMORY;
    }
    way->link = job->link;
    bool own = job->link == MOVER_OWN_LINK;
    enum ckpt_status status = transport_connect(m->transport, own ? m->address : job->address,
                                                own ? m->address_bytes : job->address_bytes,
                                                (uint64_t)(uintptr_t)way, &way->endpoint);
    if (status != CKPT_OK) {
        report_refusal(m, status);
        free(way);
        return status;
    }
    way->next = m->ways;
    m->ways = way;
    *way_out = way;
    return CKPT_OK;
}

static void way_give_up(struct mover *m, uint32_t link)
{
    struct way *way = way_find(m, link);
    if (way != NULL) {
        way->failed = true;
        transport_disconnect(way->endpoint);
    }
}

void mover_way_gone(struct mover *m, uint64_t cookie)
{
    for (struct way **at = &m->ways; *at != NULL; at = &(*at)->next) {
        if ((uint64_t)(uintptr_t)*at == cookie) {
            struct way *way = *at;
            *at = way->next;
            free(way);
            return;
        }
    }
}

static void job_unlink(struct mover *m, struct job *job)
{
    for (struct job **at = &m->jobs; *at != NULL; at = &(*at)->next) {
        if (*at == job) {
            *at = job->next;
            return;
        }
    }
}

static bool is_issued(const struct job *job)
{
    return job->kind == JOB_GATHER ? job->gather->range_next == job->gather->range_count
                                   : job->chunk_next == job->chunk_count;
}

/* Nothing more is to be issued and nothing is in flight: the digests that wait hold it from here.
 */
static void settle(struct mover *m, struct job *job)
{
    if (job->in_flight == 0 && (is_issued(job) || job_has_failed(job))) {
        job_unlink(m, job);
        if (job->kind == JOB_GATHER) {
            mover_gather_end(job);
        }
        job_release(job);
    }
}

static bool offer_fits(const struct mover *m, const struct job *job)
{
    uint64_t local =
        job->part.bytes > 0 ? job->part.bytes : job->segment_count * arena_segment_bytes(m->arena);
    return job->region_bytes > 0 && job->region_bytes % CKPT_CHUNK_BYTES == 0 &&
           job->region_count >=
               job->bytes / job->region_bytes + (job->bytes % job->region_bytes != 0) &&
           job->bytes > 0 && job->bytes <= local;
}

/* Chunks from `chunk` on that lie in one segment here and in one region there. */
static uint32_t slice_length(const struct mover *m, const struct job *job, uint64_t chunk)
{
    uint64_t here = arena_segment_bytes(m->arena) / CKPT_CHUNK_BYTES;
    uint64_t there = job->region_bytes / CKPT_CHUNK_BYTES;
    uint64_t length = m->slice_chunks;
    uint64_t left = job->chunk_count - chunk;
    length = length < here - chunk % here ? length : here - chunk % here;
    length = length < there - chunk % there ? length : there - chunk % there;
    return (uint32_t)(length < left ? length : left);
}

/* Whole chunks of the next slice; returns how many. */
static uint32_t next_chunks(const struct mover *m, const struct job *job, struct piece *piece_out)
{
    uint64_t chunk = job->chunk_next;
    uint32_t chunks = slice_length(m, job, chunk);
    uint64_t offset = chunk * CKPT_CHUNK_BYTES;
    *piece_out = (struct piece){
        .offset = offset,
        .bytes = (chunks - 1) * CKPT_CHUNK_BYTES + job_chunk_bytes(job, chunk + chunks - 1),
        .remote = &job->regions[offset / job->region_bytes],
        .remote_offset = offset % job->region_bytes,
    };
    return chunks;
}

static enum ckpt_status issue(struct mover *m, struct job *job)
{
    struct way *way;
    struct piece piece;
    uint32_t chunks = 0;
    enum ckpt_status status = way_for(m, job, &way);
    if (status != CKPT_OK) {
        return status;
    }
    if (job->kind == JOB_GATHER) {
        mover_gather_next(m, job, &piece);
    } else {
        chunks = next_chunks(m, job, &piece);
    }
    uint64_t segment_bytes = arena_segment_bytes(m->arena);
    uint32_t index = m->free_slice;
    struct transport_read_request request = {
        .endpoint = way->endpoint,
        .descriptor = piece.remote->descriptor,
        .descriptor_bytes = piece.remote->bytes,
        .remote_offset = piece.remote_offset,
        .local = m->regions[job->segments[piece.offset / segment_bytes]],
        .local_offset = piece.offset % segment_bytes,
        .bytes = piece.bytes,
        .cookie = index,
    };
    if (request.local == NULL) {
        return CKPT_ERR_MEMORY; /* its registration failed when it was renewed */
    }
    status = transport_read(&request);
    if (status != CKPT_OK) {
        return status;
    }
    m->free_slice = m->slices[index].next_free;
    m->slices[index] = (struct slice){.job = job, .chunk = job->chunk_next, .chunks = chunks};
    if (job->kind == JOB_GATHER) {
        mover_gather_issued(job, piece.bytes);
    } else {
        job->chunk_next += chunks;
    }
    job->in_flight++;
    job_hold(job);
    return CKPT_OK;
}

/* One more slice of this read. False: the window is full. */
static bool issue_one(struct mover *m, struct job *job, bool *progress)
{
    if (job_has_failed(job)) {
        settle(m, job);
        return true;
    }
    if (is_issued(job)) {
        return true;
    }
    if (m->free_slice == UINT32_MAX) {
        return false;
    }
    enum ckpt_status status = issue(m, job);
    if (status == CKPT_ERR_FULL) {
        return false;
    }
    if (status != CKPT_OK) {
        job_fail(job, status);
        settle(m, job);
    }
    *progress = true;
    return true;
}

/* Fills the window, one slice of each read in turn; while held, of gathers alone, which a rank
 * waits for. */
void mover_reads_issue(struct mover *m, bool held)
{
    bool progress = true;
    while (progress) {
        progress = false;
        for (struct job *job = m->jobs; job != NULL;) {
            struct job *next = job->next;
            if ((!held || job->kind == JOB_GATHER) && !issue_one(m, job, &progress)) {
                return;
            }
            job = next;
        }
    }
}

void mover_read_done(struct mover *m, const struct transport_completion *done)
{
    struct slice slice = m->slices[done->cookie];
    struct job *job = slice.job;
    assert(job != NULL);
    m->slices[done->cookie].job = NULL;
    m->slices[done->cookie].next_free = m->free_slice;
    m->free_slice = (uint32_t)done->cookie;
    job->in_flight--;
    FAULT_POINT(agent_pull_chunk);
    if (done->status == CKPT_OK) {
        for (uint32_t i = 0; i < slice.chunks; i++) {
            job_hold(job);
            digester_add_chunk(m->digester, job, slice.chunk + i);
        }
    } else {
        job_fail(job, done->status);
        if (done->status == CKPT_ERR_LINK || done->status == CKPT_ERR_TIMEOUT) {
            way_give_up(m, job->link);
        }
    }
    settle(m, job);
    job_release(job); /* the slice's hold, last: settle may have let go of the mover's */
}

void mover_job_add(struct mover *m, struct job *job)
{
    struct job **at = &m->jobs;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    job->next = NULL;
    *at = job;
}

void mover_read_begin(struct mover *m, struct job *job)
{
    if (!offer_fits(m, job)) {
        job_fail(job, CKPT_ERR_PROTOCOL);
        job_release(job);
        return;
    }
    mover_job_add(m, job);
}

void mover_read_cancel(struct mover *m, uint64_t work)
{
    for (struct job *job = m->jobs; job != NULL; job = job->next) {
        if (job->work == work) {
            atomic_store(&job->cancelled, true);
            settle(m, job);
            return;
        }
    }
}

/* The source is gone: its reads must not connect to it again by themselves. */
void mover_read_link_down(struct mover *m, uint32_t link)
{
    for (struct job *job = m->jobs; job != NULL;) {
        struct job *next = job->next;
        if (job->link == link) {
            job_fail(job, CKPT_ERR_LINK);
            settle(m, job);
        }
        job = next;
    }
    way_give_up(m, link);
}

static void closed(void *context, const struct transport_completion *done)
{
    struct mover *m = context;
    if (done->kind == TRANSPORT_READ) {
        struct job *job = m->slices[done->cookie].job;
        m->slices[done->cookie].job = NULL;
        job->in_flight--;
        job_fail(job, CKPT_ERR_ABORTED);
        job_release(job);
    }
}

void mover_reads_end(struct mover *m)
{
    transport_close(m->transport, closed, m);
    while (m->jobs != NULL) {
        struct job *job = m->jobs;
        m->jobs = job->next;
        job_fail(job, CKPT_ERR_ABORTED);
        job_release(job);
    }
    while (m->ways != NULL) {
        struct way *way = m->ways;
        m->ways = way->next;
        free(way);
    }
}
