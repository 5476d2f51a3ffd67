/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/mover.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "mover/rails.h"
#include "mover/reads.h"
#include "mover/regions.h"
#include "mover/state.h"
#include "mover/ways.h"

#define COMPLETIONS_A_TURN 64

/* ---- commands ---- */

enum command_type {
    COMMAND_READ,
    COMMAND_CANCEL,
    COMMAND_SHAPE,
    COMMAND_RENEW,
    COMMAND_LINK_DOWN,
    COMMAND_OFFER,
    COMMAND_REVOKE
};

struct command {
    struct command *next;
    enum command_type type;
    struct work *work;
    uint64_t number;
    uint32_t link;
    struct offer_reply *offer;
    uint32_t n;
    uint16_t segments[];
};

static void obey(struct mover *m, struct command *command)
{
    switch (command->type) {
    case COMMAND_READ:
        mover_reads_begin(m, command->work);
        break;
    case COMMAND_CANCEL:
        mover_reads_cancel(m, command->number);
        break;
    case COMMAND_SHAPE:
        mover_regions_shape(m, command->work);
        break;
    case COMMAND_RENEW:
        mover_regions_renew(m, command->work);
        break;
    case COMMAND_LINK_DOWN:
        mover_reads_link_down(m, command->link);
        break;
    case COMMAND_OFFER:
        mover_regions_offer(m, command->offer);
        break;
    case COMMAND_REVOKE:
        mover_regions_revoke(m, command->segments, command->n);
        break;
    }
    free(command);
}

static bool obey_all(struct mover *m, bool *held_out)
{
    pthread_mutex_lock(&m->lock);
    struct command *command = m->first;
    bool stopping = m->stopping;
    *held_out = m->was_held = m->held;
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

/* What the configuration names, or what it allows instead; which of them, and why, is said. */
static enum ckpt_status open_transport(struct mover *m)
{
    const struct rails *rails = m->options.rails;
    struct transport_options options = {
        .timeout_ms = m->options.timeout_ms,
        .devices = rails->node_count == 0 ? m->options.devices : NULL,
        .lenient = rails->lenient,
        .memory_bytes = m->options.segment_bytes * m->options.segment_count,
        .region_bytes = m->options.segment_bytes,
        .traffic_class = m->options.traffic_class,
        .service_level = m->options.service_level,
        .spin_us = m->options.spin_us,
    };
    m->spec = rails->spec;
    enum ckpt_status status = transport_open(m->spec, &options, &m->transport);
    if (status != CKPT_OK && rails->fallback != NULL) {
        log_event(EVENT_transport_fallback, "from=%s to=%s reason=%s", m->spec, rails->fallback,
                  LOG_QUOTED(transport_open_error()));
        snprintf(m->fell, sizeof m->fell, "%s", transport_open_error());
        m->spec = rails->fallback;
        options.devices = NULL;
        status = transport_open(m->spec, &options, &m->transport);
    }
    if (status != CKPT_OK) {
        snprintf(m->reason, sizeof m->reason, "%s", transport_open_error());
    }
    return status;
}

static enum ckpt_status begin(struct mover *m)
{
    const struct transport_capabilities *can = &m->transport->capabilities;
    uint64_t slice = m->options.slice_bytes != 0 ? m->options.slice_bytes : can->slice_bytes;
    slice = slice > can->read_bytes_max ? can->read_bytes_max : slice;
    m->slice_chunks = slice < CKPT_CHUNK_BYTES ? 1 : (uint32_t)(slice / CKPT_CHUNK_BYTES);
    m->depth = m->options.depth != 0 ? m->options.depth : can->depth;
    m->depth = m->depth > can->in_flight_max ? can->in_flight_max : m->depth;
    if (mover_reads_make(m) != CKPT_OK) {
        snprintf(m->reason, sizeof m->reason, "out of memory");
        return CKPT_ERR_MEMORY;
    }
    enum ckpt_status status = mover_regions_make(m);
    if (status == CKPT_OK) {
        status = transport_address(m->transport, m->address, &m->address_bytes);
    }
    return status;
}

static void end(struct mover *m)
{
    pthread_mutex_lock(&m->lock);
    m->stopping = m->closed = true; /* nothing wakes the transport from here on */
    pthread_mutex_unlock(&m->lock);
    mover_reads_end(m);
    free(m->regions);
}

static void note_rails(struct mover *m)
{
    struct transport_rails rails = transport_rails(m->transport);

    atomic_store_explicit(&m->rails, (uint64_t)rails.total << 32 | rails.up, memory_order_relaxed);
}

struct transport_rails mover_rails(const struct mover *mover)
{
    uint64_t rails = atomic_load_explicit(&mover->rails, memory_order_relaxed);

    return (struct transport_rails){.total = (uint32_t)(rails >> 32), .up = (uint32_t)rails};
}

static void serve(struct mover *m)
{
    struct transport_completion done[COMPLETIONS_A_TURN];
    struct pollfd waiter = {.fd = transport_event_fd(m->transport), .events = POLLIN};
    bool held;
    while (obey_all(m, &held)) {
        mover_reads_issue(m, held);
        size_t count = transport_progress(m->transport, done, COMPLETIONS_A_TURN);
        for (size_t i = 0; i < count; i++) {
            if (done[i].kind == TRANSPORT_DISCONNECTED) {
                mover_ways_gone(m, done[i].cookie);
            } else {
                mover_reads_landed(m, &done[i]);
            }
        }
        note_rails(m);
        if (count == 0 && transport_arm(m->transport)) {
            (void)poll(&waiter, 1, 1000);
        }
    }
}

/* Says how a step of the start ended, to who waits for it. */
static void step_done(struct mover *m, enum ckpt_status status)
{
    pthread_mutex_lock(&m->lock);
    m->steps_done++;
    m->start_status = status;
    pthread_cond_broadcast(&m->started_cond);
    pthread_mutex_unlock(&m->lock);
}

static enum ckpt_status await_step(struct mover *m, uint32_t step, char *reason)
{
    pthread_mutex_lock(&m->lock);
    while (m->steps_done < step) {
        pthread_cond_wait(&m->started_cond, &m->lock);
    }
    enum ckpt_status status = m->start_status;
    pthread_mutex_unlock(&m->lock);
    if (status != CKPT_OK) {
        snprintf(reason, CKPT_REASON_MAX + 1, "%s", m->reason);
    }
    return status;
}

/* False: the mover is stopped before it came. */
static bool await_arena(struct mover *m)
{
    pthread_mutex_lock(&m->lock);
    while (m->arena == NULL && !m->stopping) {
        pthread_cond_wait(&m->started_cond, &m->lock);
    }
    bool came = !m->stopping;
    pthread_mutex_unlock(&m->lock);
    return came;
}

static void *run(void *context)
{
    struct mover *m = context;
    rails_bind_thread(&m->options.rails->mover_cpus);
    enum ckpt_status status = open_transport(m);
    step_done(m, status);
    if (status == CKPT_OK && await_arena(m)) {
        status = begin(m);
        step_done(m, status);
        if (status == CKPT_OK) {
            serve(m);
        }
    }
    end(m);
    return NULL;
}

static void mover_free(struct mover *m)
{
    pthread_cond_destroy(&m->started_cond);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

enum ckpt_status mover_open(const struct mover_options *options, struct mover **mover_out,
                            char *reason)
{
    struct mover *m = calloc(1, sizeof *m);
    if (m == NULL) {
        snprintf(reason, CKPT_REASON_MAX + 1, "out of memory");
        return CKPT_ERR_MEMORY;
    }
    m->options = *options;
    m->last = &m->first;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->started_cond, NULL);
    if (pthread_create(&m->thread, NULL, run, m) != 0) {
        mover_free(m);
        snprintf(reason, CKPT_REASON_MAX + 1, "no thread: %s", strerror(errno));
        return CKPT_ERR_SYSTEM;
    }
    (void)pthread_setname_np(m->thread, "mover");
    enum ckpt_status status = await_step(m, 1, reason);
    if (status != CKPT_OK) {
        pthread_join(m->thread, NULL);
        mover_free(m);
        return status;
    }
    *mover_out = m;
    return CKPT_OK;
}

enum ckpt_status mover_start(struct mover *mover, struct arena *arena, struct digester *digester,
                             struct completions *completions, char *reason)
{
    pthread_mutex_lock(&mover->lock);
    mover->digester = digester;
    mover->completions = completions;
    mover->arena = arena;
    pthread_cond_broadcast(&mover->started_cond);
    pthread_mutex_unlock(&mover->lock);
    return await_step(mover, 2, reason);
}

const char *mover_transport(const struct mover *mover)
{
    return mover->spec;
}

const char *mover_fell(const struct mover *mover)
{
    return mover->fell[0] != '\0' ? mover->fell : NULL;
}

void mover_stop(struct mover **mover)
{
    struct mover *m = *mover;
    if (m == NULL) {
        return;
    }
    /* Woken under the lock: the thread closes the transport once it has seen `stopping`. */
    pthread_mutex_lock(&m->lock);
    m->stopping = true;
    pthread_cond_broadcast(&m->started_cond);
    if (!m->closed) {
        transport_wake(m->transport);
    }
    pthread_mutex_unlock(&m->lock);
    pthread_join(m->thread, NULL);
    mover_free(m);
    *mover = NULL;
}

/* ---- what other threads call ---- */

static struct command *command_make(enum command_type type, uint32_t n)
{
    struct command *command = calloc(1, sizeof *command + n * sizeof(uint16_t));
    if (command == NULL) {
        /* A lost revocation or offer would be a lie, a lost read a hang: there is no going on. */
        log_event(EVENT_out_of_memory, "where=mover");
        abort();
    }
    command->type = type;
    command->n = n;
    return command;
}

static void give(struct mover *m, struct command *command)
{
    pthread_mutex_lock(&m->lock);
    assert(!m->stopping);
    *m->last = command;
    m->last = &command->next;
    transport_wake(m->transport);
    pthread_mutex_unlock(&m->lock);
}

static void give_work(struct mover *m, enum command_type type, struct work *work)
{
    struct command *command = command_make(type, 0);
    command->work = work;
    give(m, command);
}

void mover_read(struct mover *mover, struct work *work)
{
    give_work(mover, COMMAND_READ, work);
}

void mover_shape(struct mover *mover, struct work *work)
{
    give_work(mover, COMMAND_SHAPE, work);
}

void mover_renew(struct mover *mover, struct work *work)
{
    give_work(mover, COMMAND_RENEW, work);
}

void mover_cancel(struct mover *mover, uint64_t number)
{
    struct command *command = command_make(COMMAND_CANCEL, 0);
    command->number = number;
    give(mover, command);
}

void mover_link_down(struct mover *mover, uint32_t link)
{
    struct command *command = command_make(COMMAND_LINK_DOWN, 0);
    command->link = link;
    give(mover, command);
}

void mover_hold(struct mover *mover, bool held)
{
    pthread_mutex_lock(&mover->lock);
    mover->held = held;
    if (!held && mover->was_held && !mover->stopping) {
        transport_wake(mover->transport);
    }
    pthread_mutex_unlock(&mover->lock);
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
