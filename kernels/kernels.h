/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libckpt_kernels: what a checkpoint needs done on a GPU, where the tensors are.
 *
 * Plain C, and no type of CUDA's: a stream is a `void *` (a cudaStream_t or CUstream; NULL is the
 * legacy one), device memory is addressed as the device does. The library is made by nvcc, carries
 * CUDA's runtime inside, and is opened at run time by the trainer's side alone (dlopen; NAMES lists
 * its functions): no daemon ever loads it.
 *
 * Functions that take a stream put work on it and return; they read and write no memory themselves.
 * What they are given must stay as it is until the stream has come past. The device whose memory it
 * is must be current on the calling thread. They may be called from any number of threads, never
 * allocate, and never wait.
 *
 * Functions return 0, KERNELS_ERR_ARGUMENT, which has put nothing on the stream, or a positive
 * error of CUDA's. Most of CUDA's errors end the use of the GPU by this process: who gets one
 * takes the way over the host from then on. A kernel's own fault is seen later, at the stream.
 */
#ifndef CKPT_KERNELS_KERNELS_H
#define CKPT_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KERNELS_VERSION 1 /* rises when a struct or a function of this file changes */
#define KERNELS_FILE "libckpt_kernels.so.1"

#define KERNELS_ERR_ARGUMENT (-1)

#define KERNELS_ALIGN 16 /* of shards on the device */
#define KERNELS_CV_BYTES 32

#if defined(__GNUC__)
#define KERNELS_API __attribute__((visibility("default")))
#else
#define KERNELS_API
#endif

/* KERNELS_VERSION of the library that was opened: with another one nothing else is called. */
KERNELS_API uint32_t kernels_version(void);

/*
 * kernels_ready() asks whether the current device can run what is here.
 *
 * RETURN VALUE
 * 0, or CUDA's error: 35, the driver is absent or older than the library; 100, no device; 209, no
 * code for this device.
 */
KERNELS_API int kernels_ready(void);

/* What an error means, in a few words. The string lives for ever. */
KERNELS_API const char *kernels_error_text(int error);

/*
 * kernels_blake3() computes the chaining values of the chunks of a shard, or of some of them, as
 * digest_chunk() of src/digest does: one of 32 bytes for each MiB begun, in order.
 *
 * data begins chunk first_chunk of a shard of shard_bytes, and has KERNELS_ALIGN. bytes are whole
 * chunks, or all up to the shard's end. cvs_out has KERNELS_ALIGN too. Where the shard is one chunk
 * its value is the root already; otherwise the host joins the values (digest_fold()).
 *
 * ERRORS
 * - KERNELS_ERR_ARGUMENT - an address that is not aligned, or bytes that are no chunks there
 */
KERNELS_API int kernels_blake3(const void *data, uint64_t bytes, uint64_t first_chunk,
                               uint64_t shard_bytes, void *cvs_out, void *stream);

/* The library's functions, for dlsym: EACH(result, name, arguments). */
#define KERNELS_FUNCTIONS(EACH)                                                                    \
    EACH(uint32_t, kernels_version, (void))                                                        \
    EACH(int, kernels_ready, (void))                                                               \
    EACH(const char *, kernels_error_text, (int))                                                  \
    EACH(int, kernels_blake3, (const void *, uint64_t, uint64_t, uint64_t, void *, void *))

#ifdef __cplusplus
}
#endif

#endif
