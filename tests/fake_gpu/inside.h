/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the fake driver ask of each other. Any thread. */
#ifndef CKPT_TESTS_FAKE_GPU_INSIDE_H
#define CKPT_TESTS_FAKE_GPU_INSIDE_H

#include <pthread.h>

#include "device/driver_abi.h"
#include "fake_gpu/fake_gpu.h"

/* faults.c: what every call of the driver begins with: 0, or what it returns at once. */
int fault_of_call(bool needs_context);
/* Of the copy that begins now: whether it spoils a bit. Does not return while it hangs. */
bool fault_of_copy(bool out);
/* Around what touches memory: false, after a sticky error nothing does. Whoever hears of the error
 * hears of it when nothing is between the two any more. */
bool fault_lets_run(void);
void fault_ran(bool is_copy);
bool fault_of_kernel(void);
void fault_pending(int more); /* on streams */
bool fault_named(const char *word);
extern struct fake_gpu_counts fake_counts; /* under fake_lock */
extern pthread_mutex_t fake_lock;

/* device.c: of this thread; -1: none. */
int current_device(void);

/* memory.c: the device whose memory all of it is; -1: it is no device's, or not all of it. */
int memory_device(uint64_t address, size_t bytes);

/* stream.c */
struct fake_stream;
struct fake_stream *stream_of(void *handle); /* NULL: the device's legacy one */
bool stream_captures(const struct fake_stream *stream);
/* `run` frees what it gets. */
void stream_put(struct fake_stream *stream, void (*run)(void *), void *context);

#define FAKE_CALL(needs_context)                                                                   \
    do {                                                                                           \
        int error_of_call = fault_of_call(needs_context);                                          \
        if (error_of_call != 0) {                                                                  \
            return error_of_call;                                                                  \
        }                                                                                          \
    } while (0)

/* The functions of driver_abi.h, and those beyond it. */
#define FAKE_DECLARE(field, symbol, arguments) int symbol arguments;
DRIVER_FUNCTIONS(FAKE_DECLARE)
#undef FAKE_DECLARE
driver_batch_copy cuMemcpyBatchAsync_v2;
int cuDeviceGet(int *device, int ordinal);
int cuCtxSetCurrent(void *context);
int cuDriverGetVersion(int *version);
int cuStreamQuery(void *stream);
int cuStreamSynchronize(void *stream);
int cuMemGetAddressRange_v2(uint64_t *base, size_t *bytes, uint64_t address);
int cuLaunchHostFunc(void *stream, void (*run)(void *), void *context);

#endif
