/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libcuda.so.1 without a GPU, for the product's own code: two devices, whose memory is memory of
 * this process.
 *
 * It is made to miss nothing that a driver may do. A stream is a thread: what is put on it is done
 * later, in its order and in no other, and copies of a batch in any. Memory begins as
 * FAKE_GPU_POISON. A call without a current context, of memory that is nobody's, of a stream that
 * captures, or a batch that breaks the rules of cuda.h is refused. What is not given back is
 * counted.
 *
 * Faults come by a script, words between commas, from $FAKE_GPU as the first call finds it or by
 * fake_gpu_script(). N counts from 1, since the script:
 *
 *     flip=N        the Nth copy out of a device (of a batch: each of its copies) has a wrong bit
 *     flip_in=N     the Nth copy into one
 *     flips, flips_in  every copy, out or in, has one
 *     hang=N        the Nth copy, either way, does not end until fake_gpu_script() says so
 *     sticky=N      the Nth call, and all after it, return 700
 *     sticky_copy=N once the Nth copy is done, the same
 *     kernel=N      the Nth launch of a kernel fails (98), and nothing else does
 *     no_batch      batches are not supported (801)
 *     no_register   host memory cannot be registered (801)
 *     no_memory     nothing can be allocated (2)
 *     no_device     there is no device (100)
 *     as_gpu        its name does not tell that it is a fake: for the code that measures
 *
 * Kernels are those of kernels/, on a CPU, put on these streams: libckpt_kernels.so.1 beside it.
 */
#ifndef CKPT_TESTS_FAKE_GPU_H
#define CKPT_TESTS_FAKE_GPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FAKE_GPU_DEVICES 2
#define FAKE_GPU_POISON 0xd6
#define FAKE_GPU_FREE_BYTES (6U << 20) /* as it says; it gives more */

/* Forgets the script before, ends its hangs and its sticky error, and counts anew. "" or NULL: no
 * faults. */
void fake_gpu_script(const char *script);

struct fake_gpu_counts {
    unsigned allocations, registrations, streams, events, contexts; /* that are alive */
    unsigned copies_out, copies_in, batches, batched, kernels;      /* since the script */
    int low_priority; /* streams that were ever created with the least one */
};
struct fake_gpu_counts fake_gpu_counts(void);

enum fake_gpu_kind { FAKE_GPU_PLAIN, FAKE_GPU_POOL, FAKE_GPU_MANAGED };

/* Memory of a device, without a context: of pieces as expandable segments have it (0: of one), and
 * of a kind. It begins 256 bytes behind a page's begin. Given back by fake_gpu_free(). */
void *fake_gpu_allocate(int device, size_t bytes, size_t piece_bytes, enum fake_gpu_kind kind);
void fake_gpu_free(void *address);

/* The allocation lies elsewhere now, and what pointed to it points to nothing. */
void *fake_gpu_move(void *address);

/* A stream of a device for the part of a trainer, whose work takes some time. */
void *fake_gpu_stream(int device);
void fake_gpu_stream_end(void *stream);
/* Writes bytes there once what is on the stream has been done, and some milliseconds later. */
void fake_gpu_write_later(void *stream, void *address, const void *bytes, size_t count,
                          unsigned delay_ms);
void fake_gpu_capture(void *stream, bool captures);
void fake_gpu_synchronize(void *stream);

#ifdef __cplusplus
}
#endif

#endif
