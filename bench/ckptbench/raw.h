/* SPDX-License-Identifier: Apache-2.0 */
/* The transport alone: another process exports memory, this one reads all of it, as an agent's
 * mover does (slices of whole chunks, the same number in flight, one thread, sleeping when there is
 * nothing to do), but digests nothing and asks nobody. What replication and restore are measured
 * against. */
#ifndef CKPTBENCH_RAW_H
#define CKPTBENCH_RAW_H

#include <stdint.h>

#include "base/limits.h"
#include <ckpt/status.h>

struct raw_options {
    const char *transport; /* a spec of transport_open() */
    uint64_t bytes;
    uint64_t segment_bytes; /* of each region, on both sides */
    uint64_t slice_bytes;   /* 0: what the transport likes, in whole chunks */
    uint32_t depth;         /* 0: what the transport likes */
};

struct raw;

/* Starts the other process, registers, connects. Blocks, 30 s at most. On failure reason
 * (CKPT_REASON_MAX + 1 bytes) says what failed. By the main thread. */
enum ckpt_status raw_open(const struct raw_options *options, struct raw **raw_out, char *reason);

/* Reads everything once; seconds from the first read issued to the last completed, and the CPU time
 * of both processes in them. Blocks. */
enum ckpt_status raw_read(struct raw *raw, double *seconds_out, double *cpu_s_out, char *reason);

/* Compares what was read with what the other process has; before it nothing need have been read. */
enum ckpt_status raw_verify(const struct raw *raw);

uint64_t raw_slice_bytes(const struct raw *raw);
uint32_t raw_depth(const struct raw *raw);

/* Ends the other process. Accepts NULL in it. */
void raw_close(struct raw **raw);

/* What both sides fill their memory by; and the seed of the source's n-th segment. */
#define RAW_SEED(segment) (UINT64_C(1000) + (segment))

#endif
