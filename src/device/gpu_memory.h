/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of an NVIDIA GPU, as a trainer has: allocated by CUDA, exported as dma-bufs, one for each
 * segment, which is how a NIC reads it without the CPU. The driver's library is looked for when
 * memory is made and not before, so that one program runs with and without a GPU; where the build
 * had no cuda.h, gpu_memory_open says so and nothing else is ever called.
 *
 * By one thread. Functions that fail write one line into reason (CKPT_REASON_MAX + 1 bytes) that
 * says what to do. Source: CUDA Driver API, cuMemGetHandleForAddressRange (CUDA 11.7). */
#ifndef CKPT_DEVICE_GPU_MEMORY_H
#define CKPT_DEVICE_GPU_MEMORY_H

#include <stdint.h>

#include <ckpt/status.h>

struct gpu_memory;

/* Allocates segments of segment_bytes each on the GPU of that index, as CUDA counts them. Blocks:
 * the driver takes up to seconds to start.
 * RETURN VALUE
 *   CKPT_ERR_CONFIG   no cuda.h at build, no driver, no such GPU, or one without dma-bufs.
 *   CKPT_ERR_MEMORY   the GPU, or this process, has none left.
 *   CKPT_ERR_SYSTEM   the driver refused. */
enum ckpt_status gpu_memory_open(uint32_t gpu, uint64_t segment_bytes, uint32_t segments,
                                 struct gpu_memory **memory_out, char *reason);

/* Frees it. No NIC may have it registered. Accepts NULL in it. */
void gpu_memory_close(struct gpu_memory **memory);

/* Copies segment_bytes into a segment, and compares what the GPU then has with them: afterwards
 * they are there for every reader, for a copy to the GPU alone may return earlier.
 * CKPT_ERR_CORRUPT: the GPU has other bytes. */
enum ckpt_status gpu_memory_fill(struct gpu_memory *memory, uint32_t segment, const uint8_t *bytes,
                                 char *reason);

/* A dma-buf of a segment, whose first byte is the segment's. It is the caller's to close. */
enum ckpt_status gpu_memory_export(struct gpu_memory *memory, uint32_t segment, int *fd_out,
                                   char *reason);

/* The model. Lives as long as the memory. */
const char *gpu_memory_model(const struct gpu_memory *memory);

#endif
