/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/feed_peer.h"

static bool offer_fits(const struct mover *m, const struct work *work)
{
    const struct work_plan *plan = &work->plan;
    uint64_t there = work->offer.region_bytes;
    uint64_t bytes = plan->shard_bytes > 0 ? plan->shard_bytes : plan->bytes;
    uint64_t here = plan->part.bytes > 0 ? plan->part.bytes
                                         : plan->segment_count * arena_segment_bytes(m->arena);
    return there > 0 && there % CKPT_CHUNK_BYTES == 0 &&
           work->region_count >= bytes / there + (bytes % there != 0) && plan->bytes > 0 &&
           plan->bytes <= here;
}

static enum ckpt_status begin(struct mover *m, struct work *work)
{
    enum ckpt_status status = (enum ckpt_status)atomic_load(&work->status);
    if (status != CKPT_OK) {
        return status;
    }
    return offer_fits(m, work) ? CKPT_OK : CKPT_ERR_PROTOCOL;
}

/* Chunks from `chunk` on that lie in one segment here and in one region there. */
static uint32_t slice_length(const struct mover *m, const struct work *work, uint64_t chunk)
{
    uint64_t here = arena_segment_bytes(m->arena) / CKPT_CHUNK_BYTES;
    uint64_t there = work->offer.region_bytes / CKPT_CHUNK_BYTES;
    uint64_t length = m->slice_chunks;
    uint64_t left = work->chunk_end - chunk;
    uint64_t in_slot = chunk - work->chunk_base;
    length = length < here - in_slot % here ? length : here - in_slot % here;
    length = length < there - chunk % there ? length : there - chunk % there;
    return (uint32_t)(length < left ? length : left);
}

static void next(const struct mover *m, const struct work *work, struct piece *piece_out)
{
    uint64_t chunk = work->chunk_next;
    uint32_t chunks = slice_length(m, work, chunk);
    uint64_t offset = chunk * CKPT_CHUNK_BYTES;
    *piece_out = (struct piece){
        .offset = offset - work->chunk_base * CKPT_CHUNK_BYTES,
        .bytes = (chunks - 1) * CKPT_CHUNK_BYTES + work_chunk_bytes(work, chunk + chunks - 1),
        .chunk = chunk,
        .chunks = chunks,
        .remote = &work->regions[offset / work->offer.region_bytes],
        .remote_offset = offset % work->offer.region_bytes,
    };
}

static void issued(struct work *work, const struct piece *piece)
{
    work->chunk_next += piece->chunks;
}

static bool is_issued(const struct work *work)
{
    return work->chunk_next == work->chunk_end;
}

const struct feed feed_peer = {
    .begin = begin,
    .next = next,
    .issued = issued,
    .is_issued = is_issued,
};
