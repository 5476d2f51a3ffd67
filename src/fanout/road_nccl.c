/* SPDX-License-Identifier: Apache-2.0 */
/* A communicator and a stream of its own, both asynchronous. A piece goes from the sender's shard
 * to pinned memory, to its GPU, to the others' GPUs, to their pinned memory, and at `take` to its
 * place. Pinned because copies of other memory wait for the stream, for which there is no deadline.
 *
 * A round goes through the stages below, one after the other, whenever somebody asks: until NCCL
 * says that it has put its work on the stream nothing may follow it there. */
#include "fanout/road_nccl.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/reason.h"
#include "client/deadline.h"
#include "fanout/nccl_library.h"

#define CTAS_MAX 4      /* of the GPU's multiprocessors, and about 40 MiB of its memory */
#define SLICE_ALIGN 512 /* of what relays are given */
#define ABORT_MS 2000   /* for what is on the stream to end after an abort */

enum stage {
    STAGE_POSTED,
    STAGE_SCATTERING, /* relay: pieces' slices to their relays */
    STAGE_SPREADING,  /* to all */
    STAGE_COPYING,    /* on the stream, behind which lies the event */
    STAGE_DONE,
};

struct round {
    uint64_t first;
    uint32_t count;
    enum stage stage;
    void *event;
    uint64_t device; /* of at_once places */
    uint8_t *pinned;
    bool is_registered;
};

struct nccl {
    struct nccl_library lib;
    int device;
    void *context;
    void *comm;
    bool is_met;
    void *stream;
    uint32_t rank;
    uint32_t ranks;
    size_t place_bytes; /* of a piece, slices rounded up */
    uint32_t places;    /* a round has room for; 0: no memory was taken yet */
    struct round rounds[ROAD_ROUNDS];
    uint32_t oldest;
    uint32_t count;
    struct road_shard shard;
};

static enum ckpt_status say_cuda(const struct nccl *n, int error, const char *what, char *reason)
{
    const char *text = NULL;
    if (n->lib.cuGetErrorString(error, &text) != CUDA_OK || text == NULL) {
        text = "an unknown error";
    }
    return reason_refuse(reason, CKPT_ERR_SYSTEM, "fan-out: NCCL: %s: CUDA: %.120s (%d)", what,
                         text, error);
}

static enum ckpt_status say_nccl(const struct nccl *n, int error, const char *what, char *reason)
{
    return reason_refuse(reason, CKPT_ERR_LINK, "fan-out: NCCL: %s: %.150s (%d)", what,
                         n->lib.ncclGetErrorString(error), error);
}

/* Calls of CUDA are about the context that is current; the caller's comes back by leave. */
static enum ckpt_status enter(const struct nccl *n, char *reason)
{
    int error = n->lib.cuCtxPushCurrent_v2(n->context);
    return error == CUDA_OK ? CKPT_OK : say_cuda(n, error, "the GPU's context", reason);
}

static void leave(const struct nccl *n)
{
    void *context;
    (void)n->lib.cuCtxPopCurrent_v2(&context);
}

static enum ckpt_status nccl_open(void **road_out, char address[ROAD_ADDRESS_BYTES], int device,
                                  char *reason)
{
    struct nccl *n = calloc(1, sizeof(*n));
    address[0] = '\0';
    if (n == NULL) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "fan-out: NCCL: no memory");
    }
    enum ckpt_status status = nccl_library_open(&n->lib, reason);
    if (status != CKPT_OK) {
        free(n);
        return status;
    }
    int error = n->lib.cuInit(0);
    error = error != CUDA_OK ? error : n->lib.cuDeviceGet(&n->device, device);
    error = error != CUDA_OK ? error : n->lib.cuDevicePrimaryCtxRetain(&n->context, n->device);
    if (error != CUDA_OK) {
        (void)say_cuda(n, error, "no GPU", reason);
        free(n);
        return CKPT_ERR_UNSUPPORTED;
    }
    *road_out = n;
    return CKPT_OK;
}

static enum ckpt_status nccl_key(void *road, uint8_t key_out[ROAD_KEY_BYTES], char *reason)
{
    struct nccl *n = road;
    struct nccl_id id;
    _Static_assert(NCCL_ID_BYTES == ROAD_KEY_BYTES, "a key is NCCL's id");
    int error = n->lib.ncclGetUniqueId(&id);
    if (error != NCCL_OK) {
        return say_nccl(n, error, "its id", reason);
    }
    memcpy(key_out, id.bytes, ROAD_KEY_BYTES);
    return CKPT_OK;
}

/* Where NCCL is with what it was last told. */
static enum ckpt_status progress(const struct nccl *n, const char *what, char *reason)
{
    int state = NCCL_OK;
    int error = n->lib.ncclCommGetAsyncError(n->comm, &state);
    if (error == NCCL_OK && state == NCCL_IN_PROGRESS) {
        return CKPT_ERR_BUSY;
    }
    error = error != NCCL_OK ? error : state;
    return error == NCCL_OK ? CKPT_OK : say_nccl(n, error, what, reason);
}

static enum ckpt_status begin_comm(struct nccl *n, const struct road_setup *setup, char *reason)
{
    struct nccl_id id;
    struct nccl_config config = {
        .size = sizeof(config),
        .magic = NCCL_CONFIG_MAGIC,
        .version = NCCL_VERSION_MIN,
        .blocking = 0,
        .cga_cluster_size = NCCL_CONFIG_UNSET,
        .min_ctas = NCCL_CONFIG_UNSET,
        .max_ctas = CTAS_MAX,
        .split_share = 0,
        .traffic_class = NCCL_CONFIG_UNSET,
        .name = "ckpt_fanout",
    };
    n->rank = setup->rank;
    n->ranks = setup->ranks;
    size_t slice = (setup->piece_bytes + n->ranks - 1) / n->ranks;
    n->place_bytes = (slice + SLICE_ALIGN - 1) / SLICE_ALIGN * SLICE_ALIGN * n->ranks;
    int error = n->lib.cuStreamCreateWithPriority(&n->stream, CUDA_STREAM_NON_BLOCKING, 0);
    for (size_t i = 0; i < ROAD_ROUNDS && error == CUDA_OK; i++) {
        error = n->lib.cuEventCreate(&n->rounds[i].event, CUDA_EVENT_NO_TIMING);
    }
    if (error != CUDA_OK) {
        return say_cuda(n, error, "a stream", reason);
    }
    memcpy(id.bytes, setup->key, sizeof(id.bytes));
    error = n->lib.ncclCommInitRankConfig(&n->comm, (int)n->ranks, id, (int)n->rank, &config);
    return error == NCCL_OK || error == NCCL_IN_PROGRESS
               ? CKPT_OK
               : say_nccl(n, error, "its beginning", reason);
}

static enum ckpt_status nccl_meet(void *road, const struct road_setup *setup, char *reason)
{
    struct nccl *n = road;
    enum ckpt_status status = enter(n, reason);
    if (status != CKPT_OK) {
        return status;
    }
    if (n->stream == NULL) {
        status = begin_comm(n, setup, reason);
    }
    if (status == CKPT_OK) {
        status = progress(n, "its beginning", reason);
    }
    n->is_met = status == CKPT_OK;
    leave(n);
    return status;
}

static void free_memory(struct nccl *n)
{
    for (size_t i = 0; i < ROAD_ROUNDS; i++) {
        struct round *round = &n->rounds[i];
        if (round->device != 0) {
            (void)n->lib.cuMemFree_v2(round->device);
        }
        if (round->is_registered) {
            (void)n->lib.cuMemHostUnregister(round->pinned);
        }
        if (round->pinned != NULL) {
            (void)munmap(round->pinned, n->place_bytes * n->places);
        }
        round->device = 0;
        round->pinned = NULL;
        round->is_registered = false;
    }
    n->places = 0;
}

static enum ckpt_status take_memory(struct nccl *n, uint32_t places, char *reason)
{
    size_t bytes = n->place_bytes * places;
    int error = CUDA_OK;
    free_memory(n);
    n->places = places;
    for (size_t i = 0; i < ROAD_ROUNDS && error == CUDA_OK; i++) {
        struct round *round = &n->rounds[i];
        void *memory =
            mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            free_memory(n);
            return reason_refuse(reason, CKPT_ERR_MEMORY, "fan-out: NCCL: no memory for pieces");
        }
        round->pinned = memory;
        error = n->lib.cuMemHostRegister_v2(round->pinned, bytes, 0);
        round->is_registered = error == CUDA_OK;
        error = error != CUDA_OK ? error : n->lib.cuMemAlloc_v2(&round->device, bytes);
    }
    if (error != CUDA_OK) {
        free_memory(n);
        return say_cuda(n, error, "memory for two rounds of pieces", reason);
    }
    return CKPT_OK;
}

static enum ckpt_status nccl_begin(void *road, const struct road_shard *shard, char *reason)
{
    struct nccl *n = road;
    uint32_t places = plan_at_once(shard->plan);
    enum ckpt_status status = enter(n, reason);
    if (status != CKPT_OK) {
        return status;
    }
    if (n->places < places) {
        status = take_memory(n, places, reason);
    }
    n->shard = *shard;
    n->oldest = n->count = 0;
    leave(n);
    return status;
}

/* A round's piece, and where it lies on the GPU and in pinned memory. */
struct place {
    struct fanout_piece piece;
    uint64_t device;
    uint8_t *pinned;
};

static struct place place_of(const struct nccl *n, const struct round *round, uint32_t i)
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
    return (slice + SLICE_ALIGN - 1) / SLICE_ALIGN * SLICE_ALIGN;
}

static int load(const struct nccl *n, const struct round *round)
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
static enum ckpt_status together(const struct nccl *n, const struct round *round,
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
    return error == NCCL_OK || error == NCCL_IN_PROGRESS ? CKPT_OK
                                                         : say_nccl(n, error, "a piece", reason);
}

static enum ckpt_status unload(const struct nccl *n, struct round *round, char *reason)
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
    return error == CUDA_OK ? CKPT_OK : say_cuda(n, error, "a copy from the GPU", reason);
}

/* One stage on: CKPT_ERR_BUSY where it has to be waited for. */
static enum ckpt_status step(const struct nccl *n, struct round *round, char *reason)
{
    bool relays = n->shard.plan->shape == FANOUT_RELAY;
    enum ckpt_status status;
    int error;
    switch (round->stage) {
    case STAGE_POSTED:
        error = load(n, round);
        if (error != CUDA_OK) {
            return say_cuda(n, error, "a copy to the GPU", reason);
        }
        round->stage = relays ? STAGE_SCATTERING : STAGE_SPREADING;
        return together(n, round, relays ? scatter : spread, reason);
    case STAGE_SCATTERING:
        status = progress(n, "a piece", reason);
        if (status != CKPT_OK) {
            return status;
        }
        round->stage = STAGE_SPREADING;
        return together(n, round, spread, reason);
    case STAGE_SPREADING:
        status = progress(n, "a piece", reason);
        if (status != CKPT_OK) {
            return status;
        }
        round->stage = STAGE_COPYING;
        return unload(n, round, reason);
    case STAGE_COPYING:
        error = n->lib.cuEventQuery(round->event);
        if (error != CUDA_OK && error != CUDA_NOT_READY) {
            return say_cuda(n, error, "a piece", reason);
        }
        if (error == CUDA_NOT_READY) { /* which NCCL's errors do not end */
            status = progress(n, "a piece", reason);
            return status == CKPT_OK ? CKPT_ERR_BUSY : status;
        }
        round->stage = STAGE_DONE;
        return CKPT_OK;
    case STAGE_DONE:
        break;
    }
    return CKPT_OK;
}

/* All rounds as far as they go; a later one is put on the stream behind an earlier one. */
static enum ckpt_status advance(struct nccl *n, char *reason)
{
    enum ckpt_status status = enter(n, reason);
    if (status != CKPT_OK) {
        return status;
    }
    for (uint32_t i = 0; i < n->count && (status == CKPT_OK || status == CKPT_ERR_BUSY); i++) {
        struct round *round = &n->rounds[(n->oldest + i) % ROAD_ROUNDS];
        do {
            status = step(n, round, reason);
        } while (status == CKPT_OK && round->stage != STAGE_DONE);
        if (status == CKPT_ERR_BUSY && round->stage < STAGE_COPYING) {
            break;
        }
    }
    leave(n);
    return status == CKPT_ERR_BUSY ? CKPT_OK : status;
}

static enum ckpt_status nccl_post(void *road, uint64_t first, uint32_t count, char *reason)
{
    struct nccl *n = road;
    struct round *round = &n->rounds[(n->oldest + n->count) % ROAD_ROUNDS];
    round->first = first;
    round->count = count;
    round->stage = STAGE_POSTED;
    n->count++;
    return advance(n, reason);
}

static enum ckpt_status nccl_take(void *road, char *reason)
{
    struct nccl *n = road;
    struct round *round = &n->rounds[n->oldest];
    enum ckpt_status status = advance(n, reason);
    if (status != CKPT_OK || round->stage != STAGE_DONE) {
        return status != CKPT_OK ? status : CKPT_ERR_BUSY;
    }
    for (uint32_t i = 0; i < round->count && !n->shard.plan->holds[n->rank]; i++) {
        struct place place = place_of(n, round, i);
        memcpy(n->shard.target + place.piece.offset, place.pinned, place.piece.bytes);
    }
    n->oldest = (n->oldest + 1) % ROAD_ROUNDS;
    n->count--;
    return CKPT_OK;
}

static void nccl_end(void *road)
{
    struct nccl *n = road;
    n->shard = (struct road_shard){0};
    n->oldest = n->count = 0;
}

static int nccl_wake_fd(void *road)
{
    (void)road;
    return -1;
}

/* Whether the stream has run empty, soon. */
static bool is_empty(const struct nccl *n)
{
    struct deadline deadline = deadline_after_ms(ABORT_MS);
    int state = n->lib.cuStreamQuery(n->stream);
    while (state == CUDA_NOT_READY && deadline_left_ms(deadline) > 0) {
        (void)poll(NULL, 0, 1);
        state = n->lib.cuStreamQuery(n->stream);
    }
    return state != CUDA_NOT_READY;
}

/* Abort, and not finalize and destroy, of which the first is a collective: who closes waits for
 * nobody. Memory is freed only when nothing is on the stream any more: CUDA waits for that where it
 * frees, without an end. What an abort has not freed from the stream in two seconds is left. */
static void nccl_close(void *road)
{
    struct nccl *n = road;
    char reason[CKPT_REASON_MAX + 1];
    if (enter(n, reason) == CKPT_OK) {
        if (n->comm != NULL) {
            (void)n->lib.ncclCommAbort(n->comm);
        }
        if (n->stream != NULL && is_empty(n)) {
            free_memory(n);
            for (size_t i = 0; i < ROAD_ROUNDS; i++) {
                if (n->rounds[i].event != NULL) {
                    (void)n->lib.cuEventDestroy_v2(n->rounds[i].event);
                }
            }
            (void)n->lib.cuStreamDestroy_v2(n->stream);
        }
        leave(n);
    }
    (void)n->lib.cuDevicePrimaryCtxRelease_v2(n->device);
    free(n);
}

const struct fanout_road road_nccl = {
    .name = "NCCL",
    .open = nccl_open,
    .key = nccl_key,
    .meet = nccl_meet,
    .begin = nccl_begin,
    .post = nccl_post,
    .take = nccl_take,
    .end = nccl_end,
    .wake_fd = nccl_wake_fd,
    .close = nccl_close,
};
