/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/feed_device.h"

#include "base/log.h"
#include "mover/ways.h"
#include "transport/transport.h"

/* What holds every range. A registration covers whole pages, and a device's may be of 64 KiB. */
#define DEVICE_PAGE_BYTES (64 * CKPT_KIB)

static struct transport_memory memory_of(const struct work *work)
{
    const struct work_gather *gather = work->gather;
    uint64_t first = UINT64_MAX, end = 0;
    for (uint32_t i = 0; i < gather->range_count; i++) {
        const struct message_range *range = &gather->ranges[i];
        first = range->from < first ? range->from : first;
        end = range->from + range->bytes > end ? range->from + range->bytes : end;
    }
    first -= first % DEVICE_PAGE_BYTES;
    return (struct transport_memory){.bytes = end - first,
                                     .dmabuf = true,
                                     .dmabuf_fd = gather->descriptor,
                                     .dmabuf_offset = first,
                                     .generation = work->plan.generation,
                                     .read_only = true};
}

/* Makes the work a read of this transport's own memory. */
static enum ckpt_status prepare(struct mover *m, struct work *work)
{
    struct work_gather *gather = work->gather;
    struct transport_memory memory = memory_of(work);
    size_t bytes = 0;
    if (gather->descriptor < 0) {
        return CKPT_ERR_SYSTEM; /* none came along, or this process may open no more files */
    }
    enum ckpt_status status = transport_register(m->transport, &memory, &gather->region);
    if (status != CKPT_OK) {
        return status;
    }
    gather->region_offset = memory.dmabuf_offset;
    status = transport_export(gather->region, work->regions[0].descriptor, &bytes);
    work->regions[0].bytes = (uint32_t)bytes;
    return status;
}

/* That a transport takes none is said once, not with every save of every rank. */
static void report_refusal(struct mover *m, const struct work *work, enum ckpt_status status)
{
    if (status == CKPT_ERR_UNSUPPORTED && m->gather_unsupported) {
        return;
    }
    m->gather_unsupported = status == CKPT_ERR_UNSUPPORTED;
    log_event(EVENT_gather_refused, "transport=%s slot=%u status=%s hint=%s", m->spec,
              work->plan.slot, ckpt_status_name(status),
              LOG_QUOTED(m->gather_unsupported ? "no dma-buf can be registered with it: ranks copy "
                                                 "device memory through the host"
                                               : "none"));
}

static enum ckpt_status begin(struct mover *m, struct work *work)
{
    enum ckpt_status status = prepare(m, work);
    if (status != CKPT_OK) {
        report_refusal(m, work, status);
    }
    work->link = MOVER_OWN_LINK;
    return status;
}

/* The next bytes of a range that lie in one segment, one slice at most. */
static void next(const struct mover *m, const struct work *work, struct piece *piece_out)
{
    const struct work_gather *gather = work->gather;
    const struct message_range *range = &gather->ranges[gather->range_next];
    uint64_t segment_bytes = arena_segment_bytes(m->arena);
    uint64_t to = range->to + gather->range_done;
    uint64_t bytes = range->bytes - gather->range_done;
    uint64_t slice = (uint64_t)m->slice_chunks * CKPT_CHUNK_BYTES;
    bytes = bytes < slice ? bytes : slice;
    bytes = bytes < segment_bytes - to % segment_bytes ? bytes : segment_bytes - to % segment_bytes;
    *piece_out =
        (struct piece){.offset = to,
                       .bytes = bytes,
                       .remote = &work->regions[0],
                       .remote_offset = range->from + gather->range_done - gather->region_offset};
}

static void issued(struct work *work, const struct piece *piece)
{
    struct work_gather *gather = work->gather;
    gather->range_done += piece->bytes;
    if (gather->range_done == gather->ranges[gather->range_next].bytes) {
        gather->range_done = 0;
        gather->range_next++;
    }
}

static bool is_issued(const struct work *work)
{
    return work->gather->range_next == work->gather->range_count;
}

static void end(struct work *work)
{
    struct work_gather *gather = work->gather;
    if (gather->region != NULL) {
        enum ckpt_status status = transport_deregister(gather->region);
        if (status != CKPT_OK) {
            log_event(EVENT_gather_not_deregistered, "slot=%u status=%s", work->plan.slot,
                      ckpt_status_name(status));
            work_fail(work, status);
        }
        gather->region = NULL;
    }
}

const struct feed feed_device = {
    .is_waited_for = true,
    .begin = begin,
    .next = next,
    .issued = issued,
    .is_issued = is_issued,
    .end = end,
};
