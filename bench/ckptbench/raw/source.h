/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a raw read that is read: memory, registered and exported. In a process of its own, or,
 * for transports that do not leave their process, beside the reader. One thread, as a transport. */
#ifndef CKPTBENCH_SOURCE_H
#define CKPTBENCH_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/gpu_memory.h"
#include "transport/transport.h"

struct source_options {
    const char *transport; /* a spec of transport_open() */
    const char *devices;   /* as in transport_options */
    uint64_t bytes;
    uint64_t segment_bytes; /* of each region */
    bool is_gpu;            /* the memory is that of a GPU, of this index: */
    uint32_t gpu;
};

/* What names a region to a reader. */
struct source_region {
    size_t bytes;
    uint8_t descriptor[CKPT_DESCRIPTOR_MAX];
};

struct source {
    struct transport *transport;
    uint32_t segments;
    uint64_t memory_bytes;
    uint8_t *memory; /* one of these two */
    struct gpu_memory *gpu;
    struct source_region *regions;
    size_t address_bytes;
    uint8_t address[CKPT_WORKER_ADDRESS_MAX];
};

/* Blocks while memory is faulted in and filled. On failure reason (CKPT_REASON_MAX + 1 bytes) says
 * what failed, CKPT_ERR_CONFIG: the transport, its devices or the GPU are not there, or
 * the transport takes no memory of a GPU. */
enum ckpt_status source_open(const struct source_options *options, struct source **source_out,
                             char *reason);
void source_close(struct source **source);

/* What the n-th segment is filled by; see buffer_fill. */
#define SOURCE_SEED(segment) (UINT64_C(1000) + (segment))

#endif
