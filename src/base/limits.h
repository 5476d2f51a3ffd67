/* SPDX-License-Identifier: Apache-2.0 */
/* Every bound of ckptd in one place, related to each other where they must be. */
#ifndef CKPT_BASE_LIMITS_H
#define CKPT_BASE_LIMITS_H

#include <stdint.h>

#define CKPT_KIB (UINT64_C(1) << 10)
#define CKPT_MIB (UINT64_C(1) << 20)
#define CKPT_GIB (UINT64_C(1) << 30)

/* Names, without the terminating NUL. */
#define CKPT_RUN_NAME_MAX 127
#define CKPT_NODE_NAME_MAX 63
#define CKPT_DOMAIN_NAME_MAX 63
#define CKPT_JOB_NAME_MAX 127
#define CKPT_TENSOR_NAME_MAX 4095 /* bytes of UTF-8 */
#define CKPT_ADDRESS_MAX 107      /* "host:port", or a UNIX path as sun_path holds it */
#define CKPT_REASON_MAX 255       /* one line for a person, in a message or a log field */

#define CKPT_WORLD_MAX 65536
#define CKPT_AGENTS_MAX 8192
#define CKPT_COPIES_MAX 4
#define CKPT_JOBS_PER_NODE_MAX 128 /* that an agent knows of, running or lingering */
#define CKPT_LINGER_MS_MAX (UINT64_C(30) * 24 * 3600 * 1000)
#define CKPT_DIMENSIONS_MAX 8
#define CKPT_TENSORS_MAX 65536

/* The chunk is the unit of digest, transfer and delta; a power of two times 1 KiB, so that it is a
 * whole subtree of BLAKE3. */
#define CKPT_CHUNK_BYTES CKPT_MIB
#define CKPT_DIGEST_BYTES 32

/* Tensor data starts at a multiple of this, so that it can be mapped and read with O_DIRECT. */
#define CKPT_DATA_ALIGN UINT64_C(4096)

#define CKPT_SEGMENT_BYTES_DEFAULT (256 * CKPT_MIB)
#define CKPT_SEGMENT_BYTES_MIN (2 * CKPT_MIB)
#define CKPT_SEGMENT_BYTES_LARGEST (UINT64_C(1) << 40)
#define CKPT_SEGMENTS_PER_SHARD_MAX 1024
#define CKPT_ARENA_SEGMENTS_MAX 4096
/* Parts of segments have ids too, behind those of segments. */
#define CKPT_ARENA_PARTS_MAX 4096
#define CKPT_PART_ID_FIRST CKPT_ARENA_SEGMENTS_MAX
#define CKPT_ARENA_IDS_MAX (CKPT_ARENA_SEGMENTS_MAX + CKPT_ARENA_PARTS_MAX)

/* 100 MB is where the safetensors format itself stops (huggingface/safetensors,
 * MAX_HEADER_SIZE). */
#define CKPT_SHARD_HEADER_MAX UINT64_C(100000000)

/* One node's topology: a bit a NUMA node in a u64, and more devices than any board has slots,
 * virtual functions included. A recording of the largest is some MiB of XML. */
#define CKPT_NUMA_NODES_MAX 64
#define CKPT_IO_DEVICES_MAX 4096
#define CKPT_TOPOLOGY_FILE_MAX (16 * CKPT_MIB)

#define CKPT_FRAME_BODY_MAX (4 * CKPT_MIB)
#define CKPT_RANGES_MAX 512          /* of device memory that one message asks for */
#define CKPT_DESCRIPTOR_MAX 512      /* one segment's exported region, as bytes of its transport */
#define CKPT_WORKER_ADDRESS_MAX 4096 /* a transport's address of one endpoint */
/* Of chunks, 16 bytes each, that one message tells: of a larger shard none are told. */
#define CKPT_VALUES_BYTES_MAX (2 * CKPT_MIB)

_Static_assert(CKPT_SEGMENT_BYTES_MIN % CKPT_CHUNK_BYTES == 0, "a chunk never spans two segments");
_Static_assert(CKPT_SEGMENTS_PER_SHARD_MAX *(CKPT_DESCRIPTOR_MAX + 64) + CKPT_VALUES_BYTES_MAX <
                   CKPT_FRAME_BODY_MAX,
               "an offer of the largest shard fits one frame");

#endif
