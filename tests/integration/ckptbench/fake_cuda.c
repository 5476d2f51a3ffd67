/* SPDX-License-Identifier: Apache-2.0 */
/* A libcuda.so.1 without a GPU: the functions that gpu_memory.c uses, with the driver's rules that
 * it must keep. A GPU's memory is memory of this process at an address that is aligned to 256 bytes
 * and no better; a dma-buf is a memfd, which from then on lies in place of the exported pages, so
 * that both see each other's bytes. FAKE_CUDA in the environment, looked at by each call, is what
 * is wrong with it: no_gpu, no_dmabuf, no_memory, no_export, spoils (copies are damaged), 1 (the
 * driver does not start). FAKE_CUDA_OLD at build: a driver of before CUDA 11.7. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cuda.h>

#define PAGE UINT64_C(4096)
#define ALIGNMENT UINT64_C(256)

static uint8_t *mapped; /* the one allocation */
static size_t mapped_bytes;
static CUdeviceptr begin, end;
static int retained, current;

static int wrong(const char *what)
{
    const char *named = getenv("FAKE_CUDA");
    return named != NULL && strcmp(named, what) == 0;
}

CUresult cuInit(unsigned flags)
{
    if (wrong("no_gpu")) {
        return CUDA_ERROR_NO_DEVICE;
    }
    return flags != 0 || wrong("1") ? CUDA_ERROR_SYSTEM_NOT_READY : CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult error, const char **text)
{
    *text = error == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory" : "something else";
    return error == CUDA_ERROR_SYSTEM_NOT_READY ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
    *count = 2;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    *device = 100 + ordinal;
    return ordinal >= 0 && ordinal < 2 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetName(char *name, int length, CUdevice device)
{
    strncpy(name, device == 101 ? "Fake GPU of the tests, 1" : "Fake GPU of the tests, 0",
            (size_t)length);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    *value = attribute == CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED && !wrong("no_dmabuf");
    return device >= 100 && device <= 101 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    (void)device;
    retained++;
    *context = (CUcontext)(void *)&retained;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
    (void)device;
    /* What leaks is told by a failing call nobody looks at, so tell it louder. */
    if (--retained != 0 || mapped != NULL) {
        abort();
    }
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context)
{
    current = context == (CUcontext)(void *)&retained;
    return current ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuMemAlloc(CUdeviceptr *address, size_t bytes)
{
    if (!current) {
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    if (wrong("no_memory") || mapped != NULL) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    mapped_bytes = bytes + PAGE;
    mapped = mmap(NULL, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
        mapped = NULL;
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    begin = (CUdeviceptr)(uintptr_t)mapped + ALIGNMENT;
    end = begin + bytes;
    *address = begin;
    return CUDA_SUCCESS;
}

CUresult cuMemFree(CUdeviceptr address)
{
    if (mapped == NULL || address != begin) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    munmap(mapped, mapped_bytes);
    mapped = NULL;
    return CUDA_SUCCESS;
}

static int is_within(CUdeviceptr address, size_t bytes)
{
    return mapped != NULL && address >= begin && bytes <= end - begin && address <= end - bytes;
}

CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes)
{
    if (!is_within(to, bytes)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    memcpy((void *)(uintptr_t)to, from, bytes);
    if (wrong("spoils")) {
        *((uint8_t *)(uintptr_t)to + bytes - 1) ^= 1;
    }
    return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes)
{
    if (!is_within(from, bytes)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    memcpy(to, (const void *)(uintptr_t)from, bytes);
    return CUDA_SUCCESS;
}

#ifndef FAKE_CUDA_OLD
CUresult cuMemGetHandleForAddressRange(void *handle, CUdeviceptr address, size_t bytes,
                                       CUmemRangeHandleType type, unsigned long long flags)
{
    uint8_t *place = (uint8_t *)(uintptr_t)address;
    if (wrong("no_export")) {
        return CUDA_ERROR_NOT_SUPPORTED;
    }
    if (type != CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD || flags != 0 || address % PAGE != 0 ||
        bytes % PAGE != 0 || !is_within(address, bytes)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    int fd = memfd_create("fake_gpu", 0);
    if (fd < 0 || write(fd, place, bytes) != (ssize_t)bytes ||
        mmap(place, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
        return CUDA_ERROR_OPERATING_SYSTEM;
    }
    *(int *)handle = fd;
    return CUDA_SUCCESS;
}
#endif
