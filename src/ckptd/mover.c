/* SPDX-License-Identifier: Apache-2.0 */
#include "mover.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault_point.h"
#include "base/log.h"
#include "transport/transport.h"

#define COMPLETIONS_A_TURN 64

enum command_type {
    COMMAND_READ,
    COMMAND_CANCEL,
    COMMAND_RENEW,
    COMMAND_LINK_DOWN,
    COMMAND_OFFER,
    COMMAND_REVOKE
};

struct command {
    struct command *next;
    enum command_type type;
    struct job *job;
    uint64_t work;
    uint32_t link;
    struct offer_reply *offer;
    uint32_t n;
    uint16_t segments[];
};

/* A slice in flight; its index is the transport's cookie. */
struct slice {
    struct job *job; /* NULL: free */
    uint64_t chunk;
    uint32_t chunks;
    uint32_t next_free;
};

/* The way to one peer's transport, by the control connection it was offered on. */
struct way {
    struct way *next;
    uint32_t link;
    bool failed; /* or no longer wanted: no new reads */
    struct transport_endpoint *endpoint;
};

struct mover {
    struct mover_options options;
    struct arena *arena;
    struct digester *digester;
    struct completions *completions;
    struct transport *transport;
    struct transport_region **regions; /* one a segment */
    uint8_t address[CKPT_WORKER_ADDRESS_MAX];
    size_t address_bytes;
    uint32_t depth;
    uint32_t slice_chunks;
    struct slice *slices;
    uint32_t free_slice;
    struct job *jobs; /* reads under way; the first is served next */
    struct way *ways;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t started_cond;
    bool started;
    enum ckpt_status start_status;
    char reason[CKPT_REASON_MAX + 1];
    bool stopping;
    bool ended; /* the thread has been joined; the caller's own */
    struct command *first;
    struct command **last;
};

/* ---- ways ---- */

static struct way *way_find(struct mover *m, uint32_t link)
{
    for (struct way *way = m->ways; way != NULL; way = way->next) {
        if (way->link == link && !way->failed) {
            return way;
        }
    }
    return NULL;
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
    enum ckpt_status status = transport_connect(m->transport, job->address, job->address_bytes,
                                                (uint64_t)(uintptr_t)way, &way->endpoint);
    if (status != CKPT_OK) {
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

static void way_gone(struct mover *m, uint64_t cookie)
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

/* ---- reads ---- */

static void job_unlink(struct mover *m, struct job *job)
{
    for (struct job **at = &m->jobs; *at != NULL; at = &(*at)->next) {
        if (*at == job) {
            *at = job->next;
            return;
        }
    }
}

/* Nothing more is to be issued and nothing is in flight: the digests that wait hold it from here.
 */
static void settle(struct mover *m, struct job *job)
{
    bool issued = job->chunk_next == job->chunk_count;
    if (job->in_flight == 0 && (issued || job_has_failed(job))) {
        job_unlink(m, job);
        job_release(job);
    }
}

static bool offer_fits(const struct mover *m, const struct job *job)
{
    uint64_t local = (uint64_t)job->segment_count * arena_segment_bytes(m->arena);
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

static enum ckpt_status issue(struct mover *m, struct job *job)
{
    struct way *way;
    enum ckpt_status status = way_for(m, job, &way);
    if (status != CKPT_OK) {
        return status;
    }
    uint64_t chunk = job->chunk_next;
    uint32_t chunks = slice_length(m, job, chunk);
    uint64_t offset = chunk * CKPT_CHUNK_BYTES;
    uint64_t segment_bytes = arena_segment_bytes(m->arena);
    const struct job_region *remote = &job->regions[offset / job->region_bytes];
    uint32_t index = m->free_slice;
    uint64_t bytes = (chunks - 1) * CKPT_CHUNK_BYTES + job_chunk_bytes(job, chunk + chunks - 1);
    struct transport_read_request request = {
        .endpoint = way->endpoint,
        .descriptor = remote->descriptor,
        .descriptor_bytes = remote->bytes,
        .remote_offset = offset % job->region_bytes,
        .local = m->regions[job->segments[offset / segment_bytes]],
        .local_offset = offset % segment_bytes,
        .bytes = bytes,
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
    m->slices[index] = (struct slice){.job = job, .chunk = chunk, .chunks = chunks};
    job->chunk_next += chunks;
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
    if (job->chunk_next == job->chunk_count) {
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

/* Fills the window, one slice of each read in turn. */
static void issue_all(struct mover *m)
{
    bool progress = true;
    while (progress) {
        progress = false;
        for (struct job *job = m->jobs; job != NULL;) {
            struct job *next = job->next;
            if (!issue_one(m, job, &progress)) {
                return;
            }
            job = next;
        }
    }
}

static void read_done(struct mover *m, const struct transport_completion *done)
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

/* ---- registration ---- */

static enum ckpt_status register_segment(struct mover *m, uint32_t segment)
{
    struct transport_memory memory = {.address = arena_segment_address(m->arena, segment),
                                      .bytes = arena_segment_bytes(m->arena),
                                      .generation = 1};
    return transport_register(m->transport, &memory, &m->regions[segment]);
}

static enum ckpt_status register_all(struct mover *m)
{
    uint32_t count = arena_segment_count(m->arena);
    for (uint32_t i = 0; i < count; i++) {
        enum ckpt_status status = register_segment(m, i);
        if (status != CKPT_OK) {
            snprintf(m->reason, sizeof m->reason,
                     "segment %u of %u can't be registered with %s: %s; check ulimit -l "
                     "(LimitMEMLOCK=infinity in the unit)",
                     i, count, m->options.transport, ckpt_status_text(status));
            return status;
        }
    }
    return CKPT_OK;
}

/* Segments whose earlier user may still have them open get new files. */
static void renew(struct mover *m, struct job *job)
{
    for (uint32_t i = 0; i < job->wanting_count; i++) {
        uint32_t segment = job->wanting[i];
        enum ckpt_status status =
            m->regions[segment] == NULL ? CKPT_OK : transport_deregister(m->regions[segment]);
        if (status == CKPT_OK) {
            m->regions[segment] = NULL;
            status = arena_segment_repair(m->arena, segment);
        }
        if (status == CKPT_OK) {
            status = register_segment(m, segment);
        }
        if (status != CKPT_OK) {
            job_fail(job, status);
        }
    }
    job_release(job);
}

static void revoke(struct mover *m, const uint16_t *segments, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct transport_region *region = m->regions[segments[i]];
        if (region != NULL && region->generation != NULL) {
            (void)transport_revoke(region, *region->generation + 1);
        }
    }
}

static void fill_offer(struct mover *m, struct offer_reply *reply)
{
    struct message_offer *offer = &reply->message.offer;
    for (uint32_t i = 0; i < reply->segment_count && offer->status == CKPT_OK; i++) {
        struct transport_region *region = m->regions[reply->segments[i]];
        size_t bytes = 0;
        enum ckpt_status status = region == NULL
                                      ? CKPT_ERR_MEMORY
                                      : transport_export(region, reply->descriptors[i], &bytes);
        if (status != CKPT_OK) {
            offer->status = status;
        }
        reply->regions[i] =
            (struct message_region){.bytes = (uint32_t)bytes, .descriptor = reply->descriptors[i]};
    }
    memcpy(reply->address, m->address, m->address_bytes);
    offer->worker_address = reply->address;
    offer->worker_address_bytes = (uint32_t)m->address_bytes;
    offer->segment_bytes = arena_segment_bytes(m->arena);
    offer->regions = reply->regions;
    offer->region_count = reply->segment_count;
    completions_post_offer(m->completions, reply);
}

/* ---- commands ---- */

static void begin_read(struct mover *m, struct job *job)
{
    job->next = NULL;
    if (!offer_fits(m, job)) {
        job_fail(job, CKPT_ERR_PROTOCOL);
        job_release(job);
        return;
    }
    struct job **at = &m->jobs;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = job;
}

static void cancel(struct mover *m, uint64_t work)
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
static void link_down(struct mover *m, uint32_t link)
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

static void obey(struct mover *m, struct command *command)
{
    switch (command->type) {
    case COMMAND_READ:
        begin_read(m, command->job);
        break;
    case COMMAND_CANCEL:
        cancel(m, command->work);
        break;
    case COMMAND_RENEW:
        renew(m, command->job);
        break;
    case COMMAND_LINK_DOWN:
        link_down(m, command->link);
        break;
    case COMMAND_OFFER:
        fill_offer(m, command->offer);
        break;
    case COMMAND_REVOKE:
        revoke(m, command->segments, command->n);
        break;
    }
    free(command);
}

static bool obey_all(struct mover *m)
{
    pthread_mutex_lock(&m->lock);
    struct command *command = m->first;
    bool stopping = m->stopping;
    m->first = NULL;
    m->last = &m->first;
    pthread_mutex_unlock(&m->lock);
    while (command != NULL) {
        struct command *next = command->next;
        obey(m, command);
        command = next;
    }
    return !stopping;
}

/* ---- the thread ---- */

static enum ckpt_status begin(struct mover *m)
{
    struct transport_options options = {.timeout_ms = m->options.timeout_ms,
                                        .devices = m->options.devices};
    enum ckpt_status status = transport_open(m->options.transport, &options, &m->transport);
    if (status != CKPT_OK) {
        snprintf(m->reason, sizeof m->reason, "%s", transport_open_error());
        return status;
    }
    const struct transport_capabilities *can = &m->transport->capabilities;
    uint64_t slice = m->options.slice_bytes != 0 ? m->options.slice_bytes : can->slice_bytes;
    slice = slice > can->read_bytes_max ? can->read_bytes_max : slice;
    m->slice_chunks = slice < CKPT_CHUNK_BYTES ? 1 : (uint32_t)(slice / CKPT_CHUNK_BYTES);
    m->depth = m->options.depth != 0 ? m->options.depth : can->depth;
    m->depth = m->depth > can->in_flight_max ? can->in_flight_max : m->depth;
    m->slices = calloc(m->depth, sizeof *m->slices);
    m->regions = calloc(arena_segment_count(m->arena), sizeof(struct transport_region *));
    if (m->slices == NULL || m->regions == NULL) {
        snprintf(m->reason, sizeof m->reason, "out of memory");
        return CKPT_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < m->depth; i++) {
        m->slices[i].next_free = i + 1 < m->depth ? i + 1 : UINT32_MAX;
    }
    status = register_all(m);
    if (status == CKPT_OK) {
        status = transport_address(m->transport, m->address, &m->address_bytes);
    }
    return status;
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

static void end(struct mover *m)
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
    free(m->slices);
    free(m->regions);
}

static void work(struct mover *m)
{
    struct transport_completion done[COMPLETIONS_A_TURN];
    struct pollfd waiter = {.fd = transport_event_fd(m->transport), .events = POLLIN};
    while (obey_all(m)) {
        issue_all(m);
        size_t count = transport_progress(m->transport, done, COMPLETIONS_A_TURN);
        for (size_t i = 0; i < count; i++) {
            if (done[i].kind == TRANSPORT_DISCONNECTED) {
                way_gone(m, done[i].cookie);
            } else {
                read_done(m, &done[i]);
            }
        }
        if (count == 0 && transport_arm(m->transport)) {
            (void)poll(&waiter, 1, 1000);
        }
    }
}

static void *run(void *context)
{
    struct mover *m = context;
    enum ckpt_status status = begin(m);
    pthread_mutex_lock(&m->lock);
    m->started = true;
    m->start_status = status;
    pthread_cond_signal(&m->started_cond);
    pthread_mutex_unlock(&m->lock);
    if (status == CKPT_OK) {
        work(m);
    }
    end(m);
    return NULL;
}

enum ckpt_status mover_start(const struct mover_options *options, struct arena *arena,
                             struct digester *digester, struct completions *completions,
                             struct mover **mover_out, char *reason)
{
    struct mover *m = calloc(1, sizeof *m);
    if (m == NULL) {
        snprintf(reason, CKPT_REASON_MAX + 1, "out of memory");
        return CKPT_ERR_MEMORY;
    }
    m->options = *options;
    m->arena = arena;
    m->digester = digester;
    m->completions = completions;
    m->last = &m->first;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->started_cond, NULL);
    if (pthread_create(&m->thread, NULL, run, m) != 0) {
        free(m);
        snprintf(reason, CKPT_REASON_MAX + 1, "no thread: %s", strerror(errno));
        return CKPT_ERR_SYSTEM;
    }
    (void)pthread_setname_np(m->thread, "mover");
    pthread_mutex_lock(&m->lock);
    while (!m->started) {
        pthread_cond_wait(&m->started_cond, &m->lock);
    }
    pthread_mutex_unlock(&m->lock);
    if (m->start_status != CKPT_OK) {
        enum ckpt_status status = m->start_status;
        pthread_join(m->thread, NULL);
        snprintf(reason, CKPT_REASON_MAX + 1, "%s", m->reason);
        free(m);
        return status;
    }
    *mover_out = m;
    return CKPT_OK;
}

void mover_end(struct mover *mover)
{
    if (mover == NULL || mover->ended) {
        return;
    }
    /* Woken under the lock: the thread closes the transport once it has seen `stopping`. */
    pthread_mutex_lock(&mover->lock);
    mover->stopping = true;
    transport_wake(mover->transport);
    pthread_mutex_unlock(&mover->lock);
    pthread_join(mover->thread, NULL);
    mover->ended = true;
}

void mover_stop(struct mover **mover)
{
    struct mover *m = *mover;
    if (m == NULL) {
        return;
    }
    mover_end(m);
    pthread_cond_destroy(&m->started_cond);
    pthread_mutex_destroy(&m->lock);
    free(m);
    *mover = NULL;
}

/* ---- what other threads call ---- */

static struct command *command_make(enum command_type type, uint32_t n)
{
    struct command *command = calloc(1, sizeof *command + n * sizeof(uint16_t));
    if (command == NULL) {
        /* A lost revocation or offer would be a lie, a lost read a hang: there is no going on. */
        log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=mover");
        abort();
    }
    command->type = type;
    command->n = n;
    return command;
}

static void give(struct mover *m, struct command *command)
{
    pthread_mutex_lock(&m->lock);
    bool stopping = m->stopping;
    if (!stopping) {
        *m->last = command;
        m->last = &command->next;
        transport_wake(m->transport);
    }
    pthread_mutex_unlock(&m->lock);
    if (stopping) {
        if (command->job != NULL) {
            job_fail(command->job, CKPT_ERR_ABORTED);
            job_release(command->job);
        }
        free(command);
    }
}

void mover_read(struct mover *mover, struct job *job)
{
    struct command *command = command_make(COMMAND_READ, 0);
    command->job = job;
    give(mover, command);
}

void mover_cancel(struct mover *mover, uint64_t work)
{
    struct command *command = command_make(COMMAND_CANCEL, 0);
    command->work = work;
    give(mover, command);
}

void mover_renew(struct mover *mover, struct job *job)
{
    struct command *command = command_make(COMMAND_RENEW, 0);
    command->job = job;
    give(mover, command);
}

void mover_link_down(struct mover *mover, uint32_t link)
{
    struct command *command = command_make(COMMAND_LINK_DOWN, 0);
    command->link = link;
    give(mover, command);
}

void mover_offer(struct mover *mover, struct offer_reply *offer)
{
    struct command *command = command_make(COMMAND_OFFER, 0);
    command->offer = offer;
    give(mover, command);
}

void mover_revoke(struct mover *mover, const uint16_t *segments, uint32_t n)
{
    struct command *command = command_make(COMMAND_REVOKE, n);
    memcpy(command->segments, segments, n * sizeof *segments);
    give(mover, command);
}
