/* SPDX-License-Identifier: Apache-2.0 */
/* NCCL and CUDA's driver, opened at run time: the process's own NCCL first, so that there is one.
 *
 * Types are those of their binary interface, which no header of theirs is needed for; a test holds
 * them against nccl.h where there is one. Any thread. */
#ifndef CKPT_FANOUT_NCCL_LIBRARY_H
#define CKPT_FANOUT_NCCL_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

#include <ckpt/status.h>

#define NCCL_VERSION_MIN 22700
#define NCCL_ID_BYTES 128

enum { NCCL_OK = 0, NCCL_IN_PROGRESS = 7, NCCL_TYPE_UINT8 = 1 };

struct nccl_id {
    char bytes[NCCL_ID_BYTES];
};

/* ncclConfig_t as far as it is used; NCCL takes what is behind its size as not set. */
#define NCCL_CONFIG_MAGIC 0xcafebeefu
#define NCCL_CONFIG_UNSET INT32_MIN
struct nccl_config {
    size_t size;
    unsigned magic;
    unsigned version;
    int blocking;
    int cga_cluster_size;
    int min_ctas;
    int max_ctas;
    const char *net_name;
    int split_share;
    int traffic_class;
    const char *name;
};

#define NCCL_FUNCTIONS(EACH)                                                                       \
    EACH(ncclGetVersion, int, (int *))                                                             \
    EACH(ncclGetErrorString, const char *, (int))                                                  \
    EACH(ncclGetUniqueId, int, (struct nccl_id *))                                                 \
    EACH(ncclCommInitRankConfig, int, (void **, int, struct nccl_id, int, struct nccl_config *))   \
    EACH(ncclCommGetAsyncError, int, (void *, int *))                                              \
    EACH(ncclCommAbort, int, (void *))                                                             \
    EACH(ncclGroupStart, int, (void))                                                              \
    EACH(ncclGroupEnd, int, (void))                                                                \
    EACH(ncclBroadcast, int, (const void *, void *, size_t, int, int, void *, void *))             \
    EACH(ncclAllGather, int, (const void *, void *, size_t, int, void *, void *))                  \
    EACH(ncclSend, int, (const void *, size_t, int, int, void *, void *))                          \
    EACH(ncclRecv, int, (void *, size_t, int, int, void *, void *))

enum { CUDA_OK = 0, CUDA_NOT_READY = 600, CUDA_STREAM_NON_BLOCKING = 1, CUDA_EVENT_NO_TIMING = 2 };

/* By the names that cuda.h has had for them since CUDA 4 and 11. */
#define CUDA_FUNCTIONS(EACH)                                                                       \
    EACH(cuInit, int, (unsigned))                                                                  \
    EACH(cuGetErrorString, int, (int, const char **))                                              \
    EACH(cuDeviceGet, int, (int *, int))                                                           \
    EACH(cuDevicePrimaryCtxRetain, int, (void **, int))                                            \
    EACH(cuDevicePrimaryCtxRelease_v2, int, (int))                                                 \
    EACH(cuCtxPushCurrent_v2, int, (void *))                                                       \
    EACH(cuCtxPopCurrent_v2, int, (void **))                                                       \
    EACH(cuMemAlloc_v2, int, (uint64_t *, size_t))                                                 \
    EACH(cuMemFree_v2, int, (uint64_t))                                                            \
    EACH(cuMemHostRegister_v2, int, (void *, size_t, unsigned))                                    \
    EACH(cuMemHostUnregister, int, (void *))                                                       \
    EACH(cuMemcpyHtoDAsync_v2, int, (uint64_t, const void *, size_t, void *))                      \
    EACH(cuMemcpyDtoHAsync_v2, int, (void *, uint64_t, size_t, void *))                            \
    EACH(cuStreamCreateWithPriority, int, (void **, unsigned, int))                                \
    EACH(cuStreamQuery, int, (void *))                                                             \
    EACH(cuStreamDestroy_v2, int, (void *))                                                        \
    EACH(cuEventCreate, int, (void **, unsigned))                                                  \
    EACH(cuEventRecord, int, (void *, void *))                                                     \
    EACH(cuEventQuery, int, (void *))                                                              \
    EACH(cuEventDestroy_v2, int, (void *))

#define NCCL_FIELD(name, result, arguments) result(*name) arguments;

struct nccl_library {
    void *nccl;
    void *cuda;
    int version;
    NCCL_FUNCTIONS(NCCL_FIELD)
    CUDA_FUNCTIONS(NCCL_FIELD)
};

/* CKPT_ERR_UNSUPPORTED: one of them is not there, or too old. They stay open for the life of the
 * process: both have threads of their own, under which nobody may take the code away. */
enum ckpt_status nccl_library_open(struct nccl_library *library_out, char *reason);

#endif
