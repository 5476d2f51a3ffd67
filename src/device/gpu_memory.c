/* SPDX-License-Identifier: Apache-2.0 */
#include "device/gpu_memory.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cuda.h>

#include "base/limits.h"
#include "base/reason.h"

#define LIBRARY "libcuda.so.1"
/* A GPU's large page. cuMemAlloc aligns to 256 bytes, and a dma-buf wants whole pages of the CPU,
 * drivers of NICs whole ones of the GPU: a segment begins at one, and ends with a small one. */
#define LARGE_PAGE (UINT64_C(2) << 20)
#define SMALL_PAGE (UINT64_C(64) << 10)
#define COPY_BYTES (UINT64_C(4) << 20) /* compared at once */
#define MODEL_MAX 96

/* The functions in use, by the names that cuda.h gives them today ("cuMemAlloc_v2"). */
#define FUNCTIONS(EACH)                                                                            \
    EACH(init, cuInit)                                                                             \
    EACH(error_text, cuGetErrorString)                                                             \
    EACH(device_count, cuDeviceGetCount)                                                           \
    EACH(device, cuDeviceGet)                                                                      \
    EACH(device_name, cuDeviceGetName)                                                             \
    EACH(attribute, cuDeviceGetAttribute)                                                          \
    EACH(retain, cuDevicePrimaryCtxRetain)                                                         \
    EACH(release, cuDevicePrimaryCtxRelease)                                                       \
    EACH(set_current, cuCtxSetCurrent)                                                             \
    EACH(allocate, cuMemAlloc)                                                                     \
    EACH(release_memory, cuMemFree)                                                                \
    EACH(to_gpu, cuMemcpyHtoD)                                                                     \
    EACH(from_gpu, cuMemcpyDtoH)                                                                   \
    EACH(handle, cuMemGetHandleForAddressRange)

#define AS_TEXT(name) #name
#define NAME_OF(name) AS_TEXT(name)
#define AS_FIELD(field, function) __typeof__(&(function)) field;
#define AS_SYMBOL(field, function) {NAME_OF(function), offsetof(struct driver, field)},

struct driver {
    void *library;
    FUNCTIONS(AS_FIELD)
};

static const struct {
    const char *name;
    size_t offset;
} symbols[] = {FUNCTIONS(AS_SYMBOL)};

struct gpu_memory {
    struct driver driver;
    CUdevice device;
    bool retained;
    CUdeviceptr allocation; /* 0: none */
    CUdeviceptr begin;      /* of the first segment */
    uint64_t segment_bytes;
    uint64_t stride;
    uint8_t *copy; /* of COPY_BYTES */
    char model[MODEL_MAX];
};

static enum ckpt_status say(const struct driver *driver, CUresult result, const char *what,
                            char *reason)
{
    const char *text = NULL;
    if (driver->error_text(result, &text) != CUDA_SUCCESS || text == NULL) {
        text = "an unknown error";
    }
    reason_set(reason, "GPU memory: %s: %.100s (%d)", what, text, (int)result);
    return result == CUDA_ERROR_OUT_OF_MEMORY ? CKPT_ERR_MEMORY : CKPT_ERR_SYSTEM;
}

static enum ckpt_status load(struct driver *driver, char *reason)
{
    driver->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (driver->library == NULL) {
        return reason_refuse(
            reason, CKPT_ERR_CONFIG,
            "GPU memory: no NVIDIA driver on this machine (%.120s): install it, or "
            "--memory=host",
            dlerror());
    }
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        void *found = dlsym(driver->library, symbols[i].name);
        if (found == NULL) {
            return reason_refuse(reason, CKPT_ERR_CONFIG,
                                 "GPU memory: the driver's " LIBRARY
                                 " has no %s: it is older than CUDA 11.7 "
                                 "(release 515), update it",
                                 symbols[i].name);
        }
        memcpy((uint8_t *)driver + symbols[i].offset, &found, sizeof(found));
    }
    return CKPT_OK;
}

static enum ckpt_status find(struct gpu_memory *memory, uint32_t gpu, char *reason)
{
    const struct driver *driver = &memory->driver;
    int count = 0;
    int able = 0;
    CUresult result = driver->init(0);
    if (result == CUDA_SUCCESS) {
        result = driver->device_count(&count);
    }
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_NO_DEVICE) {
        return say(driver, result, "starting the driver", reason);
    }
    if (gpu >= (uint32_t)count) {
        return reason_refuse(
            reason, CKPT_ERR_CONFIG,
            count == 0 ? "GPU memory: the driver finds no GPU on this machine (nvidia-smi, "
                         "CUDA_VISIBLE_DEVICES)"
                       : "GPU memory: there is no GPU %u, the last is %d (--gpu=N)",
            gpu, count - 1);
    }
    result = driver->device(&memory->device, (int)gpu);
    if (result == CUDA_SUCCESS) {
        result = driver->device_name(memory->model, MODEL_MAX, memory->device);
    }
    if (result == CUDA_SUCCESS) {
        result = driver->attribute(&able, CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED, memory->device);
    }
    if (result != CUDA_SUCCESS) {
        return say(driver, result, "looking at the GPU", reason);
    }
    if (able == 0) {
        return reason_refuse(
            reason, CKPT_ERR_CONFIG,
            "GPU memory: GPU %u (%.60s) exports no dma-bufs: that takes the open kernel "
            "modules (nvidia-open) and Linux 5.12",
            gpu, memory->model);
    }
    return CKPT_OK;
}

static enum ckpt_status allocate(struct gpu_memory *memory, uint32_t segments, char *reason)
{
    const struct driver *driver = &memory->driver;
    CUcontext context;
    CUresult result = driver->retain(&context, memory->device);
    if (result != CUDA_SUCCESS) {
        return say(driver, result, "opening the GPU", reason);
    }
    memory->retained = true;
    result = driver->set_current(context);
    if (result == CUDA_SUCCESS) {
        result = driver->allocate(&memory->allocation, segments * memory->stride + LARGE_PAGE);
    }
    if (result != CUDA_SUCCESS) {
        memory->allocation = 0;
        return say(driver, result, "allocating it", reason);
    }
    memory->begin = (memory->allocation + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
    return CKPT_OK;
}

enum ckpt_status gpu_memory_open(uint32_t gpu, uint64_t segment_bytes, uint32_t segments,
                                 struct gpu_memory **memory_out, char *reason)
{
    struct gpu_memory *memory = calloc(1, sizeof(*memory));
    enum ckpt_status status = CKPT_ERR_MEMORY;
    if (memory != NULL) {
        memory->copy = malloc(COPY_BYTES);
    }
    if (memory == NULL || memory->copy == NULL) {
        reason_set(reason, "GPU memory: no memory");
        goto close_memory;
    }
    memory->segment_bytes = segment_bytes;
    memory->stride = (segment_bytes + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
    status = load(&memory->driver, reason);
    if (status == CKPT_OK) {
        status = find(memory, gpu, reason);
    }
    if (status == CKPT_OK) {
        status = allocate(memory, segments, reason);
    }
    if (status == CKPT_OK) {
        *memory_out = memory;
        return CKPT_OK;
    }

close_memory:
    gpu_memory_close(&memory);
    return status;
}

void gpu_memory_close(struct gpu_memory **memory)
{
    struct gpu_memory *m = *memory;
    if (m == NULL) {
        return;
    }
    if (m->allocation != 0) {
        m->driver.release_memory(m->allocation);
    }
    if (m->retained) {
        m->driver.release(m->device);
    }
    if (m->driver.library != NULL) {
        dlclose(m->driver.library);
    }
    free(m->copy);
    free(m);
    *memory = NULL;
}

enum ckpt_status gpu_memory_fill(struct gpu_memory *memory, uint32_t segment, const uint8_t *bytes,
                                 char *reason)
{
    const struct driver *driver = &memory->driver;
    CUdeviceptr begin = memory->begin + segment * memory->stride;
    CUresult result = driver->to_gpu(begin, bytes, memory->segment_bytes);
    for (uint64_t at = 0; at < memory->segment_bytes && result == CUDA_SUCCESS; at += COPY_BYTES) {
        uint64_t left = memory->segment_bytes - at;
        uint64_t count = left < COPY_BYTES ? left : COPY_BYTES;
        result = driver->from_gpu(memory->copy, begin + at, count);
        if (result == CUDA_SUCCESS && memcmp(memory->copy, bytes + at, count) != 0) {
            return reason_refuse(reason, CKPT_ERR_CORRUPT,
                                 "GPU memory: the GPU has other bytes than were copied to it");
        }
    }
    return result == CUDA_SUCCESS ? CKPT_OK : say(driver, result, "filling it", reason);
}

enum ckpt_status gpu_memory_export(struct gpu_memory *memory, uint32_t segment, int *fd_out,
                                   char *reason)
{
    uint64_t bytes = (memory->segment_bytes + SMALL_PAGE - 1) & ~(SMALL_PAGE - 1);
    int fd = -1;
    CUresult result = memory->driver.handle(&fd, memory->begin + segment * memory->stride, bytes,
                                            CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0);
    if (result != CUDA_SUCCESS) {
        return say(&memory->driver, result, "exporting it as a dma-buf", reason);
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    *fd_out = fd;
    return CKPT_OK;
}

const char *gpu_memory_model(const struct gpu_memory *memory)
{
    return memory->model;
}
