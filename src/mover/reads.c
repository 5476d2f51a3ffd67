/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/reads.h"

#include <assert.h>
#include <stdlib.h>

#include "base/fault_point.h"
#include "mover/digester.h"
#include "mover/feed_device.h"
#include "mover/feed_peer.h"
#include "mover/ways.h"
#include "transport/transport.h"

/* In flight; its index is the transport's cookie. */
struct slice {
    struct work *work; /* NULL: free */
    uint64_t chunk;
    uint32_t chunks; /* to be digested */
    uint32_t next_free;
};

static const struct feed *feed_of(const struct work *work)
{
    static const struct feed *const feeds[WORK_TYPES] = {
        [WORK_READ] = &feed_peer,
        [WORK_GATHER] = &feed_device,
    };
    assert(feeds[work->plan.type] != NULL);
    return feeds[work->plan.type];
}

enum ckpt_status mover_reads_make(struct mover *m)
{
    m->slices = calloc(m->depth, sizeof *m->slices);
    if (m->slices == NULL) {
        return CKPT_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < m->depth; i++) {
        m->slices[i].next_free = i + 1 < m->depth ? i + 1 : UINT32_MAX;
    }
    return CKPT_OK;
}

/* ---- one read ---- */

static void link_last(struct mover *m, struct work *work)
{
    struct work **at = &m->reads;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    work->next = NULL;
    *at = work;
}

static void take_out(struct mover *m, struct work *work)
{
    for (struct work **at = &m->reads; *at != NULL; at = &(*at)->next) {
        if (*at == work) {
            *at = work->next;
            return;
        }
    }
}

static void end(struct work *work)
{
    const struct feed *feed = feed_of(work);
    if (feed->end != NULL) {
        feed->end(work);
    }
    work_release(work);
}

/* Nothing more is to be issued and nothing is in flight:
 * the digests that wait hold it from here. */
static void settle(struct mover *m, struct work *work)
{
    if (work->in_flight == 0 && (feed_of(work)->is_issued(work) || work_has_failed(work))) {
        take_out(m, work);
        end(work);
    }
}

void mover_reads_begin(struct mover *m, struct work *work)
{
    enum ckpt_status status = feed_of(work)->begin(m, work);
    if (status != CKPT_OK) {
        work_fail(work, status);
        end(work);
        return;
    }
    link_last(m, work);
}

void mover_reads_cancel(struct mover *m, uint64_t number)
{
    for (struct work *work = m->reads; work != NULL; work = work->next) {
        if (work->plan.number == number) {
            atomic_store(&work->cancelled, true);
            settle(m, work);
            return;
        }
    }
}

void mover_reads_link_down(struct mover *m, uint32_t link)
{
    for (struct work *work = m->reads; work != NULL;) {
        struct work *next = work->next;
        if (work->link == link) {
            work_fail(work, CKPT_ERR_LINK);
            settle(m, work);
        }
        work = next;
    }
    mover_ways_give_up(m, link);
}

/* ---- slices ---- */

static enum ckpt_status issue(struct mover *m, struct work *work)
{
    const struct feed *feed = feed_of(work);
    struct transport_endpoint *endpoint;
    struct piece piece;
    enum ckpt_status status = mover_ways_find(m, work, &endpoint);
    if (status != CKPT_OK) {
        return status;
    }
    feed->next(m, work, &piece);
    uint64_t segment_bytes = arena_segment_bytes(m->arena);
    uint32_t index = m->free_slice;
    struct transport_read_request request = {
        .endpoint = endpoint,
        .descriptor = piece.remote->descriptor,
        .descriptor_bytes = piece.remote->bytes,
        .remote_offset = piece.remote_offset,
        .local = m->regions[work->segments[piece.offset / segment_bytes]],
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
    m->slices[index] = (struct slice){.work = work, .chunk = piece.chunk, .chunks = piece.chunks};
    feed->issued(work, &piece);
    work->in_flight++;
    work_hold(work);
    return CKPT_OK;
}

/* One more slice of this read. False: the window is full. */
static bool issue_one(struct mover *m, struct work *work, bool *progress)
{
    if (work_has_failed(work)) {
        settle(m, work);
        return true;
    }
    if (feed_of(work)->is_issued(work)) {
        return true;
    }
    if (m->free_slice == UINT32_MAX) {
        return false;
    }
    enum ckpt_status status = issue(m, work);
    if (status == CKPT_ERR_FULL) {
        return false;
    }
    if (status != CKPT_OK) {
        work_fail(work, status);
        settle(m, work);
    }
    *progress = true;
    return true;
}

void mover_reads_issue(struct mover *m, bool held)
{
    bool progress = true;
    while (progress) {
        progress = false;
        for (struct work *work = m->reads; work != NULL;) {
            struct work *next = work->next;
            if ((!held || feed_of(work)->is_waited_for) && !issue_one(m, work, &progress)) {
                return;
            }
            work = next;
        }
    }
}

void mover_reads_landed(struct mover *m, const struct transport_completion *done)
{
    struct slice slice = m->slices[done->cookie];
    struct work *work = slice.work;
    assert(work != NULL);
    m->slices[done->cookie].work = NULL;
    m->slices[done->cookie].next_free = m->free_slice;
    m->free_slice = (uint32_t)done->cookie;
    work->in_flight--;
    FAULT_POINT(agent_pull_chunk);
    if (done->status == CKPT_OK) {
        for (uint32_t i = 0; i < slice.chunks; i++) {
            work_hold(work);
            digester_add_chunk(m->digester, work, slice.chunk + i);
        }
    } else {
        work_fail(work, done->status);
        if (done->status == CKPT_ERR_LINK || done->status == CKPT_ERR_TIMEOUT) {
            mover_ways_give_up(m, work->link);
        }
    }
    settle(m, work);
    work_release(work); /* the slice's hold, last: settle may have let go of the mover's */
}

/* ---- the end ---- */

static void closed(void *context, const struct transport_completion *done)
{
    struct mover *m = context;
    if (done->kind == TRANSPORT_READ) {
        struct work *work = m->slices[done->cookie].work;
        m->slices[done->cookie].work = NULL;
        work->in_flight--;
        work_fail(work, CKPT_ERR_ABORTED);
        work_release(work);
    }
}

void mover_reads_end(struct mover *m)
{
    transport_close(m->transport, closed, m);
    while (m->reads != NULL) {
        struct work *work = m->reads;
        m->reads = work->next;
        work_fail(work, CKPT_ERR_ABORTED);
        work_release(work);
    }
    mover_ways_free(m);
    free(m->slices);
}
