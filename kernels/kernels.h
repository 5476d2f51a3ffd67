/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libckpt_kernels: what a checkpoint needs done on a GPU, where the tensors are.
 *
 * Plain C, and no type of CUDA's: a stream is a `void *` (a cudaStream_t or CUstream; NULL is the
 * legacy one), device memory is addressed as the device does. The library is made by nvcc, carries
 * CUDA's runtime inside, and is opened at run time by the trainer's side alone (dlopen;
 * KERNELS_FUNCTIONS lists what is in it): no daemon ever loads it.
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

/* A tensor of a shard, or a piece of one. Tables of them lie in memory that the device reads, in
 * the order of their places, and do not overlap; gaps are allowed. */
struct kernels_tensor {
    uint64_t address; /* on the device, of any alignment */
    uint64_t place;   /* in the shard */
    uint64_t bytes;
    uint32_t dtype; /* enum ckpt_dtype; only counting looks at it */
    uint32_t unused;
};

/* What was found in a tensor that is not a finite number. */
struct kernels_counts {
    uint64_t nans;
    uint64_t infinities;
};

/* What to count while the bytes are read anyway. Everything it points to is the device's. */
struct kernels_scan {
    const struct kernels_tensor *tensors; /* their addresses are not looked at */
    uint64_t count;
    uint64_t place;                /* of the first byte read, in the shard */
    struct kernels_counts *counts; /* one a tensor, aligned to 8 bytes; what is found is added */
};

/*
 * A key of fingerprints, from the struct fingerprint_key that fingerprint_key_derive() made of a
 * one-time secret: words is its words, r is poly.powers[0], the first three. It goes to the device
 * as an argument of the launch. Who sees values under a key learns the key: it is of one save or
 * load, and values under the run's key are never made here.
 */
#define KERNELS_KEY_WORDS 268
#define KERNELS_VALUE_BYTES 16
struct kernels_key {
    uint32_t words[KERNELS_KEY_WORDS];
    uint64_t r[3];
};

/*
 * kernels_fingerprint() computes the values of chunks, as fingerprint_chunk() of src/digest does:
 * one of 16 bytes for each MiB begun, one at least. data and values_out have KERNELS_ALIGN. With a
 * scan it counts what is no finite number in the tensors that lie in these bytes: of F16, BF16,
 * F32, F64, C64, F8_E4M3 (which has no infinities) and F8_E5M2, in tensors whose elements are all
 * in these bytes or, of one that is cut, the elements that are. scan may be NULL; key and scan are
 * read before the function returns.
 *
 * ERRORS
 * - KERNELS_ERR_ARGUMENT - an address that is not aligned
 */
KERNELS_API int kernels_fingerprint(const struct kernels_key *key, const void *data, uint64_t bytes,
                                    void *values_out, const struct kernels_scan *scan,
                                    void *stream);

/*
 * kernels_gather() copies what tensors have of the shard's bytes, from `place` on, to a contiguous
 * region; kernels_scatter() copies a region back to them. Bytes of the region that no tensor has
 * are neither written nor read. Nothing has an alignment to keep; it is fastest where an address
 * and a place are equal modulo 16. The region and the tensors do not overlap.
 *
 * ERRORS
 * - KERNELS_ERR_ARGUMENT - more than 2^43 bytes
 */
KERNELS_API int kernels_gather(const struct kernels_tensor *tensors, uint64_t count, uint64_t place,
                               uint64_t bytes, void *region_out, void *stream);
KERNELS_API int kernels_scatter(const struct kernels_tensor *tensors, uint64_t count,
                                uint64_t place, uint64_t bytes, const void *region, void *stream);

/*
 * kernels_finite() counts what is no finite number in tensors where they are, as the scan of
 * kernels_fingerprint() does, in those that lie in `bytes` bytes of the shard from `place` on, or
 * begin there. An element belongs to where its first byte lies.
 */
KERNELS_API int kernels_finite(const struct kernels_tensor *tensors, uint64_t count, uint64_t place,
                               uint64_t bytes, struct kernels_counts *counts, void *stream);

/*
 * kernels_changed() compares values, of value_bytes each (a multiple of 16), with those of before:
 * bit i % 32 of word i / 32 of bits_out is 1 where value i is another one, and all bits behind the
 * last are 0. before may be NULL: all are others. Of fingerprints both are of one key.
 *
 * ERRORS
 * - KERNELS_ERR_ARGUMENT - value_bytes that are no multiple of 16, an address that is not aligned
 *   to 16 bytes (bits_out: 4)
 */
KERNELS_API int kernels_changed(const void *values, const void *before, uint32_t value_bytes,
                                uint64_t count, uint32_t *bits_out, void *stream);

/* The library's functions, for dlsym: EACH(result, name, arguments). */
#define KERNELS_FUNCTIONS(EACH)                                                                    \
    EACH(uint32_t, kernels_version, (void))                                                        \
    EACH(int, kernels_ready, (void))                                                               \
    EACH(const char *, kernels_error_text, (int))                                                  \
    EACH(int, kernels_blake3, (const void *, uint64_t, uint64_t, uint64_t, void *, void *))        \
    EACH(int, kernels_fingerprint,                                                                 \
         (const struct kernels_key *, const void *, uint64_t, void *, const struct kernels_scan *, \
          void *))                                                                                 \
    EACH(int, kernels_gather,                                                                      \
         (const struct kernels_tensor *, uint64_t, uint64_t, uint64_t, void *, void *))            \
    EACH(int, kernels_scatter,                                                                     \
         (const struct kernels_tensor *, uint64_t, uint64_t, uint64_t, const void *, void *))      \
    EACH(int, kernels_finite,                                                                      \
         (const struct kernels_tensor *, uint64_t, uint64_t, uint64_t, struct kernels_counts *,    \
          void *))                                                                                 \
    EACH(int, kernels_changed, (const void *, const void *, uint32_t, uint64_t, uint32_t *, void *))

#ifdef __cplusplus
}
#endif

#endif
