/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each kernel is given: a shard on the GPU, and tensors beside it that hold the same bytes,
 * at addresses that agree with their places modulo 16 or never do.
 */
#ifndef CKPTBENCH_CASE_KERNELS_WORK_H
#define CKPTBENCH_CASE_KERNELS_WORK_H

#include "case_kernels_gpu.h"

/* In the order of a turn: who needs tensors comes after what wrote them. */
enum kernel_step {
    STEP_COPY, /* the driver's own, from the shard to the tensors' memory */
    STEP_BLAKE3,
    STEP_FINGERPRINT,
    STEP_COUNTING, /* the fingerprint, and what is no finite number on the way */
    STEP_SCATTER,
    STEP_GATHER,
    STEP_FINITE,
    STEP_SCATTER_ODD,
    STEP_GATHER_ODD,
    STEP_CHANGED,
    STEP_COUNT
};

extern const char *const kernel_step_names[STEP_COUNT];

/* A table, as the host has it and where the GPU has it. */
struct work_table {
    struct kernels_tensor *tensors;
    uint64_t there;
};

struct kernel_work {
    struct gpu *gpu;
    uint64_t bytes;  /* of the shard */
    uint64_t chunks; /* of it */
    uint64_t count;  /* tensors */
    struct work_table agreeing, odd;
    struct kernels_key key;
    uint64_t compared; /* values of 32 bytes that STEP_CHANGED compares */

    uint64_t memory; /* of the GPU, in which the rest lies; 0: none */
    uint64_t shard;
    uint64_t tensors;
    uint64_t tensors_bytes;
    uint64_t values; /* of chunks */
    uint64_t before; /* those of before */
    uint64_t bits;
    uint64_t counts;
    uint64_t end;
};

/* The most bytes of a shard whose work finds place in that many, with tensors of tensor_bytes. */
uint64_t work_fits(uint64_t room_bytes, uint64_t tensor_bytes);

/* Makes it: tensors of about tensor_bytes (a multiple of 256, above 1024), BF16 and F32 by turns,
 * with gaps between. work is zeroed, and is to be closed whatever comes of it; key is copied. */
enum ckpt_status work_make(struct gpu *gpu, uint64_t bytes, uint64_t tensor_bytes,
                           const struct kernels_key *key, struct kernel_work *work, char *reason);
void work_close(struct kernel_work *work);

/* Does a step, and waits. seconds_out, by the driver's events, may be NULL. */
enum ckpt_status work_run(struct kernel_work *work, enum kernel_step step, double *seconds_out,
                          char *reason);

#endif
