/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's device memory, read into the slot that it fills: by the transport, from this node's own
 * NIC, over a way that leads back to this transport.
 *
 * The dma-buf is registered for the one gather, under the slot's generation, and its descriptor
 * goes to nobody: no peer can read memory that its rank may free. It is deregistered before the
 * rank hears that the gather has ended. */
#include <stdlib.h>

#include "base/log.h"
#include "mover_state.h"

/* What holds every range. A registration covers whole pages, and a device's may be of 64 KiB. */
#define DEVICE_PAGE_BYTES (64 * CKPT_KIB)

static struct transport_memory memory_of(const struct job *job)
{
    const struct gather *gather = job->gather;
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
                                     .generation = job->generation,
                                     .read_only = true};
}

/* Makes the job a read of this transport's own memory. */
static enum ckpt_status prepare(struct mover *m, struct job *job)
{
    struct gather *gather = job->gather;
    struct transport_memory memory = memory_of(job);
    size_t bytes = 0;
    if (gather->descriptor < 0) {
        return CKPT_ERR_SYSTEM; /* none came along, or this process may open no more files */
    }
    enum ckpt_status status = transport_register(m->transport, &memory, &gather->region);
    if (status != CKPT_OK) {
        return status;
    }
    gather->region_offset = memory.dmabuf_offset;
    status = transport_export(gather->region, job->regions[0].descriptor, &bytes);
    job->regions[0].bytes = (uint32_t)bytes;
    return status;
}

/* That a transport takes none is said once, not with every save of every rank. */
static void report_refusal(struct mover *m, const struct job *job, enum ckpt_status status)
{
    if (status == CKPT_ERR_UNSUPPORTED && m->gather_unsupported) {
        return;
    }
    m->gather_unsupported = status == CKPT_ERR_UNSUPPORTED;
    log_event(EVENT_gather_refused, "transport=%s slot=%u status=%s hint=%s", m->spec, job->slot,
              ckpt_status_name(status),
              LOG_QUOTED(m->gather_unsupported ? "no dma-buf can be registered with it: ranks copy "
                                                 "device memory through the host"
                                               : "none"));
}

void mover_gather_begin(struct mover *m, struct job *job)
{
    enum ckpt_status status = prepare(m, job);
    if (status != CKPT_OK) {
        report_refusal(m, job, status);
        job_fail(job, status);
        mover_gather_end(job);
        job_release(job);
        return;
    }
    job->link = MOVER_OWN_LINK;
    mover_job_add(m, job);
}

/* The next bytes of a range that lie in one segment, one slice at most. */
void mover_gather_next(const struct mover *m, const struct job *job, struct piece *piece_out)
{
    const struct gather *gather = job->gather;
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
                       .remote = &job->regions[0],
                       .remote_offset = range->from + gather->range_done - gather->region_offset};
}

void mover_gather_issued(struct job *job, uint64_t bytes)
{
    struct gather *gather = job->gather;
    gather->range_done += bytes;
    if (gather->range_done == gather->ranges[gather->range_next].bytes) {
        gather->range_done = 0;
        gather->range_next++;
    }
}

void mover_gather_end(struct job *job)
{
    struct gather *gather = job->gather;
    if (gather->region != NULL) {
        enum ckpt_status status = transport_deregister(gather->region);
        if (status != CKPT_OK) {
            log_event(EVENT_gather_not_deregistered, "slot=%u status=%s", job->slot,
                      ckpt_status_name(status));
            job_fail(job, status);
        }
        gather->region = NULL;
    }
}
