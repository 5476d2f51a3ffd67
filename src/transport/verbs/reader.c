/* SPDX-License-Identifier: Apache-2.0 */
/* Reads: cut into slices, issued, taken back, issued again, checked. */
#include "transport/verbs/reader.h"

#include "transport/verbs/lane.h"
#include "transport/verbs/rail.h"
#include "transport/verbs/verbs.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "transport/verbs/watch.h"

#define POLL_MAX 32

static uint32_t slices_of(uint64_t bytes)
{
    return (uint32_t)((bytes + VERBS_SLICE_BYTES - 1) / VERBS_SLICE_BYTES);
}

static uint64_t all_slices(uint64_t bytes)
{
    uint32_t count = slices_of(bytes);

    return count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

static uint32_t slice_bytes(const struct verbs_read *read, uint32_t slice)
{
    uint64_t left = read->bytes - slice * VERBS_SLICE_BYTES;

    return (uint32_t)(left < VERBS_SLICE_BYTES ? left : VERBS_SLICE_BYTES);
}

static void wait_in_line(struct verbs *v, struct verbs_read *read)
{
    v->issue = true;
    if (read->waiting) {
        return;
    }
    read->waiting = true;
    read->next_waiting = NULL;
    if (v->waiting_last != NULL) {
        v->waiting_last->next_waiting = read;
    } else {
        v->waiting = read;
    }
    v->waiting_last = read;
}

static void leave_line(struct verbs *v, struct verbs_read *read)
{
    struct verbs_read *previous = NULL;

    if (!read->waiting) {
        return;
    }
    for (struct verbs_read *r = v->waiting; r != read; r = r->next_waiting) {
        previous = r;
    }
    if (previous != NULL) {
        previous->next_waiting = read->next_waiting;
    } else {
        v->waiting = read->next_waiting;
    }
    if (v->waiting_last == read) {
        v->waiting_last = previous;
    }
    read->waiting = false;
}

/* The result is known; the read ends once all its work requests are back. */
static void settle(struct verbs *v, struct verbs_read *read, enum ckpt_status status)
{
    if (!read->settled) {
        read->settled = true;
        read->result = status;
        read->todo = 0;
        read->check = false;
        leave_line(v, read);
    }
    if (read->works == 0) {
        reads_finish(&v->reads, &read->slot, read->result);
        v->attention |= read->slot.endpoint->disconnecting;
    }
}

void verbs_endpoint_reads_fail(struct verbs_endpoint *endpoint, enum ckpt_status status)
{
    struct verbs *v = as_verbs(endpoint->base.transport);
    struct read_slot *next;

    for (struct read_slot *slot = v->reads.in_flight.first; slot != NULL; slot = next) {
        next = slot->next;
        if (slot->endpoint == &endpoint->base) {
            settle(v, (struct verbs_read *)(void *)slot, status);
        }
    }
}

enum ckpt_status verbs_start_read(const struct transport_read_request *request)
{
    struct verbs *v = as_verbs(request->endpoint->transport);
    struct verbs_endpoint *endpoint = as_verbs_endpoint(request->endpoint);
    struct verbs_read *read;
    struct ticket ticket;
    struct label label;
    enum ckpt_status status = label_decode(request->descriptor, request->descriptor_bytes,
                                           LABEL_REGION, LABEL_VERBS, &label);

    if (status == CKPT_OK) {
        status = ticket_decode(label.payload, label.payload_bytes, &ticket);
    }
    if (status != CKPT_OK) {
        return status;
    }
    if (request->remote_offset > label.bytes ||
        request->bytes > label.bytes - request->remote_offset) {
        return CKPT_ERR_SIZE;
    }
    if (endpoint->failure != CKPT_OK) {
        return CKPT_ERR_LINK;
    }
    read = (struct verbs_read *)(void *)reads_begin(&v->reads, request);
    if (read == NULL) {
        return CKPT_ERR_FULL;
    }
    read->ticket = ticket;
    read->region = label.region;
    read->generation = label.generation;
    read->remote_offset = request->remote_offset;
    read->local_offset = request->local_offset;
    read->bytes = request->bytes;
    read->todo = all_slices(request->bytes);
    read->check = read->todo == 0;
    read->settled = read->waiting = false;
    read->works = read->faults = 0;
    /* A descriptor of another transport,
     * or of other rails than the peer has, names nothing there. */
    if (label.transport != endpoint->peer || ticket.rails_count != endpoint->card.rails_count) {
        settle(v, read, CKPT_ERR_STALE);
    } else {
        wait_in_line(v, read);
    }
    return CKPT_OK;
}

static bool works(const struct verbs_lane *lane)
{
    return lane->state == VERBS_LANE_UP && lane->rail->up;
}

/* Those of the near rails that have a lane; all when none has. */
static uint32_t usable_rails(const struct verbs_endpoint *endpoint, uint32_t near)
{
    uint32_t rails = 0;

    for (uint32_t i = 0; i < endpoint->lanes_count; i++) {
        if (works(&endpoint->lanes[i])) {
            rails |= UINT32_C(1) << endpoint->lanes[i].rail->index & near;
        }
    }
    return rails != 0 ? rails : UINT32_MAX;
}

/* The lane with the fewest bytes in flight on its rail; then the one with fewer requests. */
static struct verbs_lane *choose_lane(struct verbs_endpoint *endpoint, uint32_t near,
                                      uint32_t bytes)
{
    struct verbs_lane *best = NULL;
    uint32_t rails = usable_rails(endpoint, near);

    for (uint32_t i = 0; i < endpoint->lanes_count; i++) {
        struct verbs_lane *lane = &endpoint->lanes[i];
        uint64_t load = lane->rail->bytes_in_flight;
        if (!works(lane) || (rails >> lane->rail->index & 1) == 0 ||
            lane->works == VERBS_LANE_WORKS_MAX ||
            (load != 0 && load + bytes > VERBS_RAIL_BYTES_MAX)) {
            continue;
        }
        if (best == NULL || load < best->rail->bytes_in_flight ||
            (load == best->rail->bytes_in_flight && lane->works < best->works)) {
            best = lane;
        }
    }
    return best;
}

static bool post(struct verbs_read *read, struct verbs_work *work)
{
    struct verbs_lane *lane = work->lane;
    struct verbs_rail *rail = lane->rail;
    const struct verbs_region *local = (const struct verbs_region *)(void *)read->slot.local;
    uint64_t at = work->slice * VERBS_SLICE_BYTES;
    struct ibv_sge sge = {.length = work->bytes};
    struct ibv_send_wr *bad, wr = {.wr_id = (uintptr_t)work,
                                   .sg_list = &sge,
                                   .num_sge = 1,
                                   .opcode = IBV_WR_RDMA_READ,
                                   .send_flags = IBV_SEND_SIGNALED};

    if (work->slice == VERBS_CHECK) {
        sge.addr = (uintptr_t)&rail->verbs->landing[read->slot.index];
        sge.lkey = rail->landing->lkey;
        wr.wr.rdma.remote_addr = read->ticket.slot;
        wr.wr.rdma.rkey = read->ticket.keys[lane->peer_rail].slots;
    } else {
        sge.addr = local->iova + read->local_offset + at;
        sge.lkey = local->mrs[rail->index]->lkey;
        wr.wr.rdma.remote_addr = read->ticket.address + read->remote_offset + at;
        wr.wr.rdma.rkey = read->ticket.keys[lane->peer_rail].region;
    }
    return ibv_post_send(lane->qp, &wr, &bad) == 0;
}

static void free_work(struct verbs *v, struct verbs_work *work)
{
    work->read = NULL;
    work->next = v->idle_works;
    v->idle_works = work;
}

/* Issues one slice, or the check; false when there is no lane for it now. */
static bool issue_one(struct verbs *v, struct verbs_read *read)
{
    uint32_t slice = read->check ? VERBS_CHECK : (uint32_t)__builtin_ctzll(read->todo);
    uint32_t bytes =
        slice == VERBS_CHECK ? (uint32_t)sizeof(struct verbs_slot) : slice_bytes(read, slice);
    const struct verbs_region *local = (const struct verbs_region *)(void *)read->slot.local;
    struct verbs_lane *lane =
        choose_lane(as_verbs_endpoint(read->slot.endpoint), local->near, bytes);
    struct verbs_work *work = v->idle_works;

    if (lane == NULL || work == NULL) {
        return false;
    }
    v->idle_works = work->next;
    *work = (struct verbs_work){.read = read, .lane = lane, .slice = slice, .bytes = bytes};
    if (!post(read, work)) {
        /* Nothing of it was accepted: requests are posted one at a time. */
        log_event(EVENT_verbs_post_failed, "rail=%s error=\"%m\"", lane->rail->name);
        free_work(v, work);
        verbs_lane_fail(lane, true);
        return false;
    }
    if (slice == VERBS_CHECK) {
        read->check = false;
    } else {
        read->todo &= read->todo - 1;
    }
    read->works++;
    lane->works++;
    lane->rail->bytes_in_flight += bytes;
    v->works_in_flight++;
    return true;
}

void verbs_issue(struct verbs *v)
{
    struct verbs_read *next;

    v->issue = false;
    for (struct verbs_read *read = v->waiting; read != NULL; read = next) {
        next = read->next_waiting;
        while ((read->todo != 0 || read->check) && issue_one(v, read)) {
        }
        if (read->todo == 0 && !read->check) {
            leave_line(v, read);
        }
    }
}

static void succeed(struct verbs *v, const struct verbs_work *work)
{
    struct verbs_read *read = work->read;
    const struct verbs_slot *slot = &v->landing[read->slot.index];

    read->slot.endpoint->heard_ns = clock_now_ns();
    work->lane->pause_ns = VERBS_PAUSE_MIN_NS;
    if (work->slice == VERBS_CHECK && !read->settled) {
        bool current = __atomic_load_n(&slot->id, __ATOMIC_ACQUIRE) == read->region &&
                       __atomic_load_n(&slot->generation, __ATOMIC_ACQUIRE) == read->generation;
        settle(v, read, current ? CKPT_OK : CKPT_ERR_STALE);
    } else if (read->settled) {
        settle(v, read, read->result);
    } else if (read->todo == 0 && read->works == 0) {
        /* The bytes are here: what the slot says from now on is of after. */
        read->check = true;
        wait_in_line(v, read);
    }
}

static void fail(struct verbs *v, const struct verbs_work *work, enum fault_class class,
                 const struct ibv_wc *wc)
{
    struct verbs_read *read = work->read;

    if (class == FAULT_LEASE) {
        read->slot.endpoint->heard_ns = clock_now_ns(); /* a no is an answer */
        settle(v, read, CKPT_ERR_STALE);
    } else if (class == FAULT_PROGRAM) {
        log_event(EVENT_verbs_request_failed, "rail=%s wc_status=%s vendor_error=%u bytes=%u",
                  work->lane->rail->name, LOG_QUOTED(ibv_wc_status_str(wc->status)), wc->vendor_err,
                  work->bytes);
        settle(v, read, CKPT_ERR_INTERNAL);
    } else if (read->settled || (class == FAULT_RAIL && ++read->faults > VERBS_FAULTS_MAX)) {
        settle(v, read, read->settled ? read->result : CKPT_ERR_LINK);
    } else {
        if (work->slice == VERBS_CHECK) {
            read->check = true;
        } else {
            read->todo |= UINT64_C(1) << work->slice;
        }
        wait_in_line(v, read);
    }
}

/* The device has given a work request back. */
static void take_back(struct verbs *v, const struct verbs_work *work)
{
    assert(work->read->works != 0 && work->lane->works != 0);
    work->read->works--;
    work->lane->works--;
    work->lane->rail->bytes_in_flight -= work->bytes;
    v->works_in_flight--;
    v->issue = true;
}

static void complete(struct verbs_rail *rail, const struct ibv_wc *wc)
{
    struct verbs *v = rail->verbs;
    struct verbs_work *work = (struct verbs_work *)(uintptr_t)wc->wr_id;
    struct verbs_lane *lane = work->lane;

    take_back(v, work);
    if (wc->status == IBV_WC_SUCCESS) {
        succeed(v, work);
    } else {
        bool way_out = wc->status != IBV_WC_LOC_QP_OP_ERR ||
                       verbs_rail_had_way_out(rail, clock_now_ns());
        enum fault_class class = fault_class_of(wc->status, way_out);
        if (class == FAULT_RAIL) {
            log_event(EVENT_verbs_rail_fault, "rail=%s wc_status=%s", rail->name,
                      LOG_QUOTED(ibv_wc_status_str(wc->status)));
        }
        verbs_lane_fail(lane, class == FAULT_RAIL);
        fail(v, work, class, wc);
        v->attention = true;
    }
    free_work(v, work);
}

int verbs_poll(struct verbs_rail *rail)
{
    struct ibv_wc completions[POLL_MAX];
    int count = ibv_poll_cq(rail->cq, POLL_MAX, completions);

    for (int i = 0; i < count; i++) {
        complete(rail, &completions[i]);
    }
    return count > 0 ? count : 0;
}

void verbs_lane_reclaim(struct verbs_lane *lane)
{
    struct verbs *v = lane->rail->verbs;

    /* Some devices leave what had completed in the queue, and some take it away. */
    while (lane->works != 0 && verbs_poll(lane->rail) != 0) {
    }
    for (uint32_t i = 0; lane->works != 0 && i < VERBS_WORKS_MAX; i++) {
        struct verbs_work *work = &v->works[i];
        if (work->read != NULL && work->lane == lane) {
            take_back(v, work);
            fail(v, work, FAULT_FLUSHED, NULL);
            free_work(v, work);
        }
    }
}
