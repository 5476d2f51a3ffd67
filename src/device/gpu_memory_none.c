/* SPDX-License-Identifier: Apache-2.0 */
/* In place of gpu_memory.c where the build found no cuda.h. */
#include <assert.h>

#include "base/limits.h"
#include "base/reason.h"
#include "device/gpu_memory.h"

enum ckpt_status gpu_memory_open(uint32_t gpu, uint64_t segment_bytes, uint32_t segments,
                                 struct gpu_memory **memory_out, char *reason)
{
    (void)gpu, (void)segment_bytes, (void)segments, (void)memory_out;
    return reason_refuse(
        reason, CKPT_ERR_CONFIG,
        "GPU memory is not built in: no cuda.h of CUDA 11.7 or later was there; install it "
        "(NVIDIA's toolkit, or nvidia-cuda-dev) and build again, or --memory=host");
}

void gpu_memory_close(struct gpu_memory **memory)
{
    assert(*memory == NULL);
}

enum ckpt_status gpu_memory_fill(struct gpu_memory *memory, uint32_t segment, const uint8_t *bytes,
                                 char *reason)
{
    (void)memory, (void)segment, (void)bytes, (void)reason;
    return CKPT_ERR_INVALID;
}

enum ckpt_status gpu_memory_export(struct gpu_memory *memory, uint32_t segment, int *fd_out,
                                   char *reason)
{
    (void)memory, (void)segment, (void)fd_out, (void)reason;
    return CKPT_ERR_INVALID;
}

const char *gpu_memory_model(const struct gpu_memory *memory)
{
    (void)memory;
    return "";
}
