/* SPDX-License-Identifier: Apache-2.0 */
/* A GPU, for what measures its kernels: the driver, the kernels' library, one stream, and what the
 * device says of itself. By one thread, whose current device it is from gpu_open to gpu_close.
 * Functions that fail write one line into reason (CKPT_REASON_MAX + 1 bytes). */
#ifndef CKPTBENCH_CASE_KERNELS_GPU_H
#define CKPTBENCH_CASE_KERNELS_GPU_H

#include <stdbool.h>

#include "device/driver.h"
#include "device/kernels_library.h"

#define GPU_MODEL_MAX 96

struct gpu {
    struct driver driver;
    struct kernels_library library;
    int ordinal;
    void *context;
    void *stream;
    void *begin, *end; /* of what was timed last */
    bool is_hung;      /* what is on the stream does not end */
    bool is_stand_in;  /* of the tests, on a CPU: its times say nothing */
    char model[GPU_MODEL_MAX];
    double processors;
    double clock_hz;       /* 0: the driver does not tell */
    double memory_bytes_s; /* likewise */
    uint64_t free_bytes;   /* when it was opened */
};

/*
 * gpu_open() opens the GPU of that number, as CUDA counts them. Blocks: the driver takes up to
 * seconds to start. gpu is zeroed, and is to be closed whatever comes of it.
 *
 * ERRORS
 * - CKPT_ERR_CONFIG - there is no driver, no such GPU, no library of kernels, or it does not fit
 * - CKPT_ERR_SYSTEM, CKPT_ERR_MEMORY - the driver refuses
 */
enum ckpt_status gpu_open(int ordinal, struct gpu *gpu, char *reason);
void gpu_close(struct gpu *gpu);

/* How a call of the driver's ended, as a status; what says what was tried. */
enum ckpt_status gpu_judge(const struct gpu *gpu, int error, const char *what, char *reason);

/* Waits until the stream is empty; what says what is on it. CKPT_ERR_TIMEOUT: a minute was not
 * enough, it hangs, and is not waited for again. */
enum ckpt_status gpu_await(struct gpu *gpu, const char *what, char *reason);

/* Copies into the GPU's memory, or out of it, and waits. */
enum ckpt_status gpu_write(struct gpu *gpu, uint64_t to, const void *from, uint64_t bytes,
                           char *reason);
enum ckpt_status gpu_read(struct gpu *gpu, void *to, uint64_t from, uint64_t bytes, char *reason);

/* Fills its memory with a byte, and waits. */
enum ckpt_status gpu_fill(struct gpu *gpu, uint64_t address, uint8_t byte, uint64_t bytes,
                          char *reason);

#endif
