/* SPDX-License-Identifier: Apache-2.0 */
/* A communicator and a stream of its own, both asynchronous. A piece goes from the sender's shard
 * to pinned memory, to its GPU, to the others' GPUs, to their pinned memory, and at `take` to its
 * place. Pinned because copies of other memory wait for the stream, for which there is no
 * deadline. */
#include "fanout/road_nccl.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/reason.h"
#include "client/deadline.h"
#include "fanout/nccl_call.h"
#include "fanout/nccl_round.h"

#define CTAS_MAX 4    /* of the GPU's multiprocessors, and about 40 MiB of its memory */
#define ABORT_MS 2000 /* for what is on the stream to end after an abort */

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
        (void)nccl_say_cuda(n, error, "no GPU", reason);
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
        return nccl_say_nccl(n, error, "its id", reason);
    }
    memcpy(key_out, id.bytes, ROAD_KEY_BYTES);
    return CKPT_OK;
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
    n->place_bytes =
        (slice + NCCL_SLICE_ALIGN - 1) / NCCL_SLICE_ALIGN * NCCL_SLICE_ALIGN * n->ranks;
    int error = n->lib.cuStreamCreateWithPriority(&n->stream, CUDA_STREAM_NON_BLOCKING, 0);
    for (size_t i = 0; i < ROAD_ROUNDS && error == CUDA_OK; i++) {
        error = n->lib.cuEventCreate(&n->rounds[i].event, CUDA_EVENT_NO_TIMING);
    }
    if (error != CUDA_OK) {
        return nccl_say_cuda(n, error, "a stream", reason);
    }
    memcpy(id.bytes, setup->key, sizeof(id.bytes));
    error = n->lib.ncclCommInitRankConfig(&n->comm, (int)n->ranks, id, (int)n->rank, &config);
    return error == NCCL_OK || error == NCCL_IN_PROGRESS
               ? CKPT_OK
               : nccl_say_nccl(n, error, "its beginning", reason);
}

static enum ckpt_status nccl_meet(void *road, const struct road_setup *setup, char *reason)
{
    struct nccl *n = road;
    enum ckpt_status status = nccl_enter(n, reason);
    if (status != CKPT_OK) {
        return status;
    }
    if (n->stream == NULL) {
        status = begin_comm(n, setup, reason);
    }
    if (status == CKPT_OK) {
        status = nccl_progress(n, "its beginning", reason);
    }
    n->is_met = status == CKPT_OK;
    nccl_leave(n);
    return status;
}

static void free_memory(struct nccl *n)
{
    for (size_t i = 0; i < ROAD_ROUNDS; i++) {
        struct nccl_round *round = &n->rounds[i];
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
        struct nccl_round *round = &n->rounds[i];
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
        return nccl_say_cuda(n, error, "memory for two rounds of pieces", reason);
    }
    return CKPT_OK;
}

static enum ckpt_status nccl_begin(void *road, const struct road_shard *shard, char *reason)
{
    struct nccl *n = road;
    uint32_t places = plan_at_once(shard->plan);
    enum ckpt_status status = nccl_enter(n, reason);
    if (status != CKPT_OK) {
        return status;
    }
    if (n->places < places) {
        status = take_memory(n, places, reason);
    }
    n->shard = *shard;
    n->oldest = n->count = 0;
    nccl_leave(n);
    return status;
}

static enum ckpt_status nccl_post(void *road, uint64_t first, uint32_t count, char *reason)
{
    struct nccl *n = road;
    struct nccl_round *round = &n->rounds[(n->oldest + n->count) % ROAD_ROUNDS];
    round->first = first;
    round->count = count;
    round->stage = STAGE_POSTED;
    n->count++;
    return nccl_rounds_advance(n, reason);
}

static enum ckpt_status nccl_take(void *road, char *reason)
{
    struct nccl *n = road;
    struct nccl_round *round = &n->rounds[n->oldest];
    enum ckpt_status status = nccl_rounds_advance(n, reason);
    if (status != CKPT_OK || round->stage != STAGE_DONE) {
        return status != CKPT_OK ? status : CKPT_ERR_BUSY;
    }
    nccl_round_land(n, round);
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
    if (nccl_enter(n, reason) == CKPT_OK) {
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
        nccl_leave(n);
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
