/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is used of libcuda.so.1, declared here: so that a libckpt that was built where no CUDA is
 * saves from GPUs where one is. Types are those of its ABI on 64-bit machines; test_driver_abi
 * holds them against cuda.h where that is there.
 *
 * Source: CUDA Driver API, 12.8 and 13.0. Names are those of the symbols ("cuMemAlloc_v2").
 */
#ifndef CKPT_DEVICE_DRIVER_ABI_H
#define CKPT_DEVICE_DRIVER_ABI_H

#include <stddef.h>
#include <stdint.h>

#define DRIVER_FILE "libcuda.so.1"

/* CUresult */
#define DRIVER_OK 0
#define DRIVER_ERR_INVALID 1
#define DRIVER_ERR_MEMORY 2
#define DRIVER_ERR_NOT_INITIALIZED 3
#define DRIVER_ERR_DEVICE 101
#define DRIVER_ERR_CONTEXT 201
#define DRIVER_ERR_HANDLE 400
#define DRIVER_ERR_NOT_READY 600
#define DRIVER_ERR_ILLEGAL_ADDRESS 700
#define DRIVER_ERR_REGISTERED 712
#define DRIVER_ERR_NOT_REGISTERED 713
#define DRIVER_ERR_NOT_SUPPORTED 801
#define DRIVER_ERR_CAPTURE 900
#define DRIVER_ERR_CAPTURE_IMPLICIT 906

/* CUpointer_attribute */
#define DRIVER_POINTER_MEMORY_TYPE 2
#define DRIVER_POINTER_IS_MANAGED 8
#define DRIVER_POINTER_DEVICE 9
#define DRIVER_POINTER_MEMPOOL 17

/* CUdevice_attribute; clocks are in kHz, a bus has bits */
#define DRIVER_DEVICE_CLOCK 13
#define DRIVER_DEVICE_PROCESSORS 16
#define DRIVER_DEVICE_MEMORY_CLOCK 36
#define DRIVER_DEVICE_MEMORY_BUS 37

#define DRIVER_MEMORY_DEVICE 2 /* CUmemorytype */
#define DRIVER_STREAM_NON_BLOCKING 1
#define DRIVER_EVENT_NO_TIMING 2
#define DRIVER_REGISTER_PORTABLE 1
#define DRIVER_REGISTER_READ_ONLY 8
#define DRIVER_CAPTURE_NONE 0
#define DRIVER_ORDER_STREAM 1 /* CUmemcpySrcAccessOrder */
#define DRIVER_COPY_BESIDE_COMPUTE 1

/* CUmemLocation, CUmemcpyAttributes */
struct driver_location {
    int type;
    int id;
};

struct driver_copy_attributes {
    int order;
    struct driver_location source;
    struct driver_location target;
    unsigned flags;
};

/* EACH(field, symbol, arguments): a CUdevice is an int, a CUdeviceptr a uint64_t, and contexts,
 * streams and events are pointers that nobody looks behind. All return a CUresult. */
#define DRIVER_FUNCTIONS(EACH)                                                                     \
    EACH(init, cuInit, (unsigned flags))                                                           \
    EACH(error_text, cuGetErrorString, (int error, const char **text))                             \
    EACH(device_count, cuDeviceGetCount, (int *count))                                             \
    EACH(device_name, cuDeviceGetName, (char *name, int bytes, int device))                        \
    EACH(device_attribute, cuDeviceGetAttribute, (int *value, int attribute, int device))          \
    EACH(context_retain, cuDevicePrimaryCtxRetain, (void **context, int device))                   \
    EACH(context_release, cuDevicePrimaryCtxRelease_v2, (int device))                              \
    EACH(context_push, cuCtxPushCurrent_v2, (void *context))                                       \
    EACH(context_pop, cuCtxPopCurrent_v2, (void **context))                                        \
    EACH(priorities, cuCtxGetStreamPriorityRange, (int *least, int *greatest))                     \
    EACH(pointer_attribute, cuPointerGetAttribute, (void *data, int attribute, uint64_t address))  \
    EACH(room, cuMemGetInfo_v2, (size_t * free_bytes, size_t * all_bytes))                         \
    EACH(allocate, cuMemAlloc_v2, (uint64_t * address, size_t bytes))                              \
    EACH(release, cuMemFree_v2, (uint64_t address))                                                \
    EACH(host_register, cuMemHostRegister_v2, (void *address, size_t bytes, unsigned flags))       \
    EACH(host_unregister, cuMemHostUnregister, (void *address))                                    \
    EACH(copy_out, cuMemcpyDtoHAsync_v2, (void *to, uint64_t from, size_t bytes, void *stream))    \
    EACH(copy_in, cuMemcpyHtoDAsync_v2,                                                            \
         (uint64_t to, const void *from, size_t bytes, void *stream))                              \
    EACH(copy_within, cuMemcpyDtoDAsync_v2,                                                        \
         (uint64_t to, uint64_t from, size_t bytes, void *stream))                                 \
    EACH(set_bytes, cuMemsetD8Async,                                                               \
         (uint64_t address, unsigned char value, size_t bytes, void *stream))                      \
    EACH(stream_create, cuStreamCreateWithPriority, (void **stream, unsigned flags, int priority)) \
    EACH(stream_destroy, cuStreamDestroy_v2, (void *stream))                                       \
    EACH(stream_capturing, cuStreamIsCapturing, (void *stream, int *status))                       \
    EACH(stream_wait, cuStreamWaitEvent, (void *stream, void *event, unsigned flags))              \
    EACH(event_create, cuEventCreate, (void **event, unsigned flags))                              \
    EACH(event_record, cuEventRecord, (void *event, void *stream))                                 \
    EACH(event_query, cuEventQuery, (void *event))                                                 \
    EACH(event_elapsed, cuEventElapsedTime, (float *ms, void *begin, void *end))                   \
    EACH(event_destroy, cuEventDestroy_v2, (void *event))

/* What a driver may lack: 13.0 has the second form, 12.8 and 12.9 the first, older ones none. */
typedef int driver_batch_copy(uint64_t *targets, uint64_t *sources, size_t *bytes, size_t count,
                              struct driver_copy_attributes *attributes, size_t *first_of,
                              size_t attributes_count, void *stream);
typedef int driver_batch_copy_12(uint64_t *targets, uint64_t *sources, size_t *bytes, size_t count,
                                 struct driver_copy_attributes *attributes, size_t *first_of,
                                 size_t attributes_count, size_t *failed, void *stream);
#define DRIVER_BATCH_COPY "cuMemcpyBatchAsync_v2"
#define DRIVER_BATCH_COPY_12 "cuMemcpyBatchAsync"

#endif
