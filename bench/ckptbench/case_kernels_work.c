/* SPDX-License-Identifier: Apache-2.0 */
#include "case_kernels_work.h"

#include <stdlib.h>

#include <ckpt/dtype.h>

#include "base/limits.h"
#include "base/reason.h"
#include "digest/digest.h"

#define ALIGNMENT UINT64_C(256)
#define SLACK_BYTES UINT64_C(256) /* behind each tensor, for its address to be any */
#define COMPARED_LEAST 1000
#define VECTOR 16
#define ELEMENT_MAX 4

const char *const kernel_step_names[STEP_COUNT] = {
    [STEP_COPY] = "device's copy",      [STEP_BLAKE3] = "blake3",
    [STEP_FINGERPRINT] = "fingerprint", [STEP_COUNTING] = "fingerprint, counting",
    [STEP_SCATTER] = "scatter",         [STEP_GATHER] = "gather",
    [STEP_FINITE] = "finite",           [STEP_SCATTER_ODD] = "scatter, odd",
    [STEP_GATHER_ODD] = "gather, odd",  [STEP_CHANGED] = "changed",
};

static uint64_t align(uint64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Beside the shard and the tensors' memory a tensor takes its slack, two entries of tables and its
 * counts; a chunk its values twice and a bit; and there may be one tensor more. */
uint64_t work_fits(uint64_t room_bytes, uint64_t tensor_bytes)
{
    uint64_t least = (UINT64_C(1) << 18) + tensor_bytes;
    uint64_t unit = tensor_bytes < CKPT_MIB ? tensor_bytes : CKPT_MIB;
    uint64_t unit_needs = 2 * unit + 1024;
    return room_bytes <= least ? 0 : (room_bytes - least) / unit_needs * unit;
}

/* Places and lengths of both tables; the last tensor ends with the shard, or some bytes before. */
static enum ckpt_status list_tensors(struct kernel_work *work, uint64_t tensor_bytes)
{
    uint64_t most = work->bytes / (tensor_bytes - 128) + 1;
    work->agreeing.tensors = calloc(most, sizeof(*work->agreeing.tensors));
    work->odd.tensors = calloc(most, sizeof(*work->odd.tensors));
    if (work->agreeing.tensors == NULL || work->odd.tensors == NULL) {
        return CKPT_ERR_MEMORY;
    }
    uint64_t place = 0;
    for (uint64_t i = 0; i < most && place + ELEMENT_MAX <= work->bytes; i++) {
        uint64_t left = (work->bytes - place) / ELEMENT_MAX * ELEMENT_MAX;
        uint64_t bytes = tensor_bytes - i % 5 * 24;
        struct kernels_tensor tensor = {.place = place,
                                        .bytes = bytes < left ? bytes : left,
                                        .dtype = i % 2 == 0 ? CKPT_DTYPE_BF16 : CKPT_DTYPE_F32};
        work->agreeing.tensors[i] = tensor;
        work->odd.tensors[i] = tensor;
        work->count++;
        place += tensor.bytes + i % 3 * 6;
    }
    return CKPT_OK;
}

static void place_tensors(struct kernel_work *work, uint64_t tensor_bytes)
{
    for (uint64_t i = 0; i < work->count; i++) {
        uint64_t address = work->tensors + i * (tensor_bytes + SLACK_BYTES);
        address += work->agreeing.tensors[i].place % VECTOR;
        work->agreeing.tensors[i].address = address;
        work->odd.tensors[i].address = address + 1 + i % (VECTOR - 1);
    }
}

static uint64_t take(uint64_t *at, uint64_t bytes)
{
    uint64_t begin = *at;
    *at = align(begin + bytes);
    return begin;
}

/* Addresses from `begin` on, which is 0 when only their room is asked for. */
static void lay_out(struct kernel_work *work, uint64_t begin, uint64_t tensor_bytes)
{
    uint64_t at = begin;
    work->tensors_bytes = work->count * (tensor_bytes + SLACK_BYTES);
    work->shard = take(&at, work->bytes);
    work->tensors = take(&at, work->tensors_bytes);
    work->values = take(&at, work->compared * KERNELS_CV_BYTES);
    work->before = take(&at, work->compared * KERNELS_CV_BYTES);
    work->bits = take(&at, (work->compared + 31) / 32 * sizeof(uint32_t));
    work->counts = take(&at, work->count * sizeof(struct kernels_counts));
    work->agreeing.there = take(&at, work->count * sizeof(struct kernels_tensor));
    work->odd.there = take(&at, work->count * sizeof(struct kernels_tensor));
    work->end = at;
}

static enum ckpt_status allocate(struct kernel_work *work, uint64_t tensor_bytes, char *reason)
{
    lay_out(work, 0, tensor_bytes);
    uint64_t memory = 0;
    int error = work->gpu->driver.allocate(&memory, work->end);
    if (error != DRIVER_OK) {
        return gpu_judge(work->gpu, error, "allocating its memory (--bytes)", reason);
    }
    work->memory = memory;
    lay_out(work, memory, tensor_bytes);
    return CKPT_OK;
}

enum ckpt_status work_make(struct gpu *gpu, uint64_t bytes, uint64_t tensor_bytes,
                           const struct kernels_key *key, struct kernel_work *work, char *reason)
{
    work->gpu = gpu;
    work->bytes = bytes;
    work->chunks = digest_chunk_count(bytes);
    work->compared = work->chunks > COMPARED_LEAST ? work->chunks : COMPARED_LEAST;
    work->key = *key;
    if (list_tensors(work, tensor_bytes) != CKPT_OK) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "no memory for tables of tensors");
    }
    enum ckpt_status status = allocate(work, tensor_bytes, reason);
    if (status != CKPT_OK) {
        return status;
    }
    place_tensors(work, tensor_bytes);
    uint64_t table_bytes = work->count * sizeof(*work->agreeing.tensors);
    status = gpu_fill(gpu, work->memory, 0, work->end - work->memory, reason);
    if (status == CKPT_OK) {
        status = gpu_write(gpu, work->agreeing.there, work->agreeing.tensors, table_bytes, reason);
    }
    if (status == CKPT_OK) {
        status = gpu_write(gpu, work->odd.there, work->odd.tensors, table_bytes, reason);
    }
    return status;
}

/* A kernel may still be at its memory, after a failure of what came behind it. */
void work_close(struct kernel_work *work)
{
    char unread[CKPT_REASON_MAX + 1];
    if (work->memory != 0 && gpu_await(work->gpu, "freeing its memory", unread) == CKPT_OK) {
        (void)work->gpu->driver.release(work->memory);
    }
    free(work->agreeing.tensors);
    free(work->odd.tensors);
    *work = (struct kernel_work){.memory = 0};
}

static void *at(uint64_t address)
{
    return (void *)(uintptr_t)address; // NOLINT(performance-no-int-to-ptr): of the device
}

/* A kernel's error, or KERNELS_ERR_ARGUMENT. */
static int put_kernel(const struct kernel_work *work, enum kernel_step step)
{
    const struct kernels_library *library = &work->gpu->library;
    void *stream = work->gpu->stream;
    const struct kernels_scan scan = {
        .tensors = at(work->agreeing.there), .count = work->count, .counts = at(work->counts)};
    bool is_odd = step == STEP_SCATTER_ODD || step == STEP_GATHER_ODD;
    const struct kernels_tensor *table = at(is_odd ? work->odd.there : work->agreeing.there);
    switch (step) {
    case STEP_BLAKE3:
        return library->kernels_blake3(at(work->shard), work->bytes, 0, work->bytes,
                                       at(work->values), stream);
    case STEP_FINGERPRINT:
    case STEP_COUNTING:
        return library->kernels_fingerprint(&work->key, at(work->shard), work->bytes,
                                            at(work->values), step == STEP_COUNTING ? &scan : NULL,
                                            stream);
    case STEP_SCATTER:
    case STEP_SCATTER_ODD:
        return library->kernels_scatter(table, work->count, 0, work->bytes, at(work->shard),
                                        stream);
    case STEP_GATHER:
    case STEP_GATHER_ODD:
        return library->kernels_gather(table, work->count, 0, work->bytes, at(work->shard), stream);
    case STEP_FINITE:
        return library->kernels_finite(table, work->count, 0, work->bytes, at(work->counts),
                                       stream);
    case STEP_CHANGED:
    case STEP_COPY:
    case STEP_COUNT:
    default:
        return library->kernels_changed(at(work->values), at(work->before), KERNELS_CV_BYTES,
                                        work->compared, at(work->bits), stream);
    }
}

static enum ckpt_status put(const struct kernel_work *work, enum kernel_step step, char *reason)
{
    const struct gpu *gpu = work->gpu;
    if (step == STEP_COPY) {
        int error = gpu->driver.copy_within(work->tensors, work->shard, work->bytes, gpu->stream);
        return gpu_judge(gpu, error, "copying within it", reason);
    }
    int error = put_kernel(work, step);
    return error == 0 ? CKPT_OK
                      : reason_refuse(reason, CKPT_ERR_SYSTEM, "kernel %s: %.150s (%d)",
                                      kernel_step_names[step],
                                      gpu->library.kernels_error_text(error), error);
}

enum ckpt_status work_run(struct kernel_work *work, enum kernel_step step, double *seconds_out,
                          char *reason)
{
    struct gpu *gpu = work->gpu;
    float ms = 0;
    int error = gpu->driver.event_record(gpu->begin, gpu->stream);
    enum ckpt_status status = gpu_judge(gpu, error, "recording an event", reason);
    if (status == CKPT_OK) {
        status = put(work, step, reason);
    }
    if (status == CKPT_OK) {
        status = gpu_await(gpu, kernel_step_names[step], reason);
    }
    if (status == CKPT_OK && seconds_out != NULL) {
        error = gpu->driver.event_elapsed(&ms, gpu->begin, gpu->end);
        status = gpu_judge(gpu, error, "asking how long it took", reason);
        *seconds_out = (double)ms / 1e3;
    }
    return status;
}
