/* SPDX-License-Identifier: Apache-2.0 */
/* A round goes through its stages, one after the other, whenever somebody asks: until NCCL says
 * that it has put its work on the stream nothing may follow it there. */
#include "fanout/nccl_round.h"

#include <string.h>

#include "fanout/nccl_call.h"

/* A round's piece, and where it lies on the GPU and in pinned memory. */
struct place {
    struct fanout_piece piece;
    uint64_t device;
    uint8_t *pinned;
};

static struct place place_of(const struct nccl *n, const struct nccl_round *round, uint32_t i)
{
    size_t offset = n->place_bytes * i;
    return (struct place){plan_piece(n->shard.plan, round->first + i), round->device + offset,
                          round->pinned + offset};
}

static void *at(uint64_t device)
{
    return (void *)(uintptr_t)device;
}

static size_t slice_bytes(const struct nccl *n, const struct fanout_piece *piece)
{
    size_t slice = ((size_t)piece->bytes + n->ranks - 1) / n->ranks;
    return (slice + NCCL_SLICE_ALIGN - 1) / NCCL_SLICE_ALIGN * NCCL_SLICE_ALIGN;
}

static int load(const struct nccl *n, const struct nccl_round *round)
{
    int error = CUDA_OK;
    for (uint32_t i = 0; i < round->count && error == CUDA_OK; i++) {
        struct place place = place_of(n, round, i);
        if (place.piece.sender == n->rank) {
            memcpy(place.pinned, n->shard.source + place.piece.offset, place.piece.bytes);
            error = n->lib.cuMemcpyHtoDAsync_v2(place.device, place.pinned, place.piece.bytes,
                                                n->stream);
        }
    }
    return error;
}

/* The sender gives rank k the k-th slice; its own lies where it is. */
static int scatter(const struct nccl *n, const struct place *place)
{
    size_t bytes = slice_bytes(n, &place->piece);
    int error = NCCL_OK;
    if (place->piece.sender != n->rank) {
        return n->lib.ncclRecv(at(place->device + bytes * n->rank), bytes, NCCL_TYPE_UINT8,
                               (int)place->piece.sender, n->comm, n->stream);
    }
    for (uint32_t k = 0; k < n->ranks && (error == NCCL_OK || error == NCCL_IN_PROGRESS); k++) {
        if (k != n->rank) {
            error = n->lib.ncclSend(at(place->device + bytes * k), bytes, NCCL_TYPE_UINT8, (int)k,
                                    n->comm, n->stream);
        }
    }
    return error;
}

/* Every receiver by itself, to compare with. */
static int star(const struct nccl *n, const struct place *place)
{
    int error = NCCL_OK;
    if (place->piece.sender != n->rank) {
        return n->shard.plan->holds[n->rank]
                   ? NCCL_OK
                   : n->lib.ncclRecv(at(place->device), place->piece.bytes, NCCL_TYPE_UINT8,
                                     (int)place->piece.sender, n->comm, n->stream);
    }
    for (uint32_t k = 0; k < n->ranks && (error == NCCL_OK || error == NCCL_IN_PROGRESS); k++) {
        if (!n->shard.plan->holds[k]) {
            error = n->lib.ncclSend(at(place->device), place->piece.bytes, NCCL_TYPE_UINT8, (int)k,
                                    n->comm, n->stream);
        }
    }
    return error;
}

static int spread(const struct nccl *n, const struct place *place)
{
    size_t slice = slice_bytes(n, &place->piece);
    switch (n->shard.plan->shape) {
    case FANOUT_RELAY:
        return n->lib.ncclAllGather(at(place->device + slice * n->rank), at(place->device), slice,
                                    NCCL_TYPE_UINT8, n->comm, n->stream);
    case FANOUT_STAR:
        return star(n, place);
    case FANOUT_CHAIN:
        break;
    }
    return n->lib.ncclBroadcast(at(place->device), at(place->device), place->piece.bytes,
                                NCCL_TYPE_UINT8, (int)place->piece.sender, n->comm, n->stream);
}

/* Calls of all pieces of a round as one. */
static enum ckpt_status together(const struct nccl *n, const struct nccl_round *round,
                                 int (*call)(const struct nccl *, const struct place *),
                                 char *reason)
{
    int error = n->lib.ncclGroupStart();
    for (uint32_t i = 0; i < round->count && (error == NCCL_OK || error == NCCL_IN_PROGRESS); i++) {
        struct place place = place_of(n, round, i);
        error = call(n, &place);
    }
    int ended = n->lib.ncclGroupEnd();
    error = error != NCCL_OK && error != NCCL_IN_PROGRESS ? error : ended;
    return error == NCCL_OK || error == NCCL_IN_PROGRESS
               ? CKPT_OK
               : nccl_say_nccl(n, error, "a piece", reason);
}

static enum ckpt_status unload(const struct nccl *n, struct nccl_round *round, char *reason)
{
    int error = CUDA_OK;
    for (uint32_t i = 0; i < round->count && error == CUDA_OK; i++) {
        struct place place = place_of(n, round, i);
        if (!n->shard.plan->holds[n->rank]) {
            error = n->lib.cuMemcpyDtoHAsync_v2(place.pinned, place.device, place.piece.bytes,
                                                n->stream);
        }
    }
    error = error != CUDA_OK ? error : n->lib.cuEventRecord(round->event, n->stream);
    return error == CUDA_OK ? CKPT_OK : nccl_say_cuda(n, error, "a copy from the GPU", reason);
}

/* One stage on: CKPT_ERR_BUSY where it has to be waited for. */
static enum ckpt_status step(const struct nccl *n, struct nccl_round *round, char *reason)
{
    bool relays = n->shard.plan->shape == FANOUT_RELAY;
    enum ckpt_status status;
    int error;
    switch (round->stage) {
    case STAGE_POSTED:
        error = load(n, round);
        if (error != CUDA_OK) {
            return nccl_say_cuda(n, error, "a copy to the GPU", reason);
        }
        round->stage = relays ? STAGE_SCATTERING : STAGE_SPREADING;
        return together(n, round, relays ? scatter : spread, reason);
    case STAGE_SCATTERING:
        status = nccl_progress(n, "a piece", reason);
        if (status != CKPT_OK) {
            return status;
        }
        round->stage = STAGE_SPREADING;
        return together(n, round, spread, reason);
    case STAGE_SPREADING:
        status = nccl_progress(n, "a piece", reason);
        if (status != CKPT_OK) {
            return status;
        }
        round->stage = STAGE_COPYING;
        return unload(n, round, reason);
    case STAGE_COPYING:
        error = n->lib.cuEventQuery(round->event);
        if (error != CUDA_OK && error != CUDA_NOT_READY) {
            return nccl_say_cuda(n, error, "a piece", reason);
        }
        if (error == CUDA_NOT_READY) { /* which NCCL's errors do not end */
            status = nccl_progress(n, "a piece", reason);
            return status == CKPT_OK ? CKPT_ERR_BUSY : status;
        }
        round->stage = STAGE_DONE;
        return CKPT_OK;
    case STAGE_DONE:
        break;
    }
    return CKPT_OK;
}

enum ckpt_status nccl_rounds_advance(struct nccl *n, char *reason)
{
    enum ckpt_status status = nccl_enter(n, reason);
    if (status != CKPT_OK) {
        return status;
    }
    for (uint32_t i = 0; i < n->count && (status == CKPT_OK || status == CKPT_ERR_BUSY); i++) {
        struct nccl_round *round = &n->rounds[(n->oldest + i) % ROAD_ROUNDS];
        do {
            status = step(n, round, reason);
        } while (status == CKPT_OK && round->stage != STAGE_DONE);
        if (status == CKPT_ERR_BUSY && round->stage < STAGE_COPYING) {
            break;
        }
    }
    nccl_leave(n);
    return status == CKPT_ERR_BUSY ? CKPT_OK : status;
}

void nccl_round_land(const struct nccl *n, const struct nccl_round *round)
{
    for (uint32_t i = 0; i < round->count && !n->shard.plan->holds[n->rank]; i++) {
        struct place place = place_of(n, round, i);
        memcpy(n->shard.target + place.piece.offset, place.pinned, place.piece.bytes);
    }
}
