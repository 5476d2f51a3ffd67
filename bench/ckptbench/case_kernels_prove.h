/* SPDX-License-Identifier: Apache-2.0 */
/* Whether each kernel's results are what the host computes. */
#ifndef CKPTBENCH_CASE_KERNELS_PROVE_H
#define CKPTBENCH_CASE_KERNELS_PROVE_H

#include "case_kernels_gpu.h"
#include "digest/fingerprint.h"

#define PROVE_BYTES UINT64_C(3183619) /* of the largest shard: three chunks, and 38 leaves */

/*
 * prove_kernels() has each step done, for shards of several sizes, compares its results with those
 * of src/digest or of a plain loop, and frees what it took. Blocks.
 *
 * ERRORS
 * - CKPT_ERR_CORRUPT - one is another: reason names the kernel and the place
 * - whatever keeps them from being computed
 */
enum ckpt_status prove_kernels(struct gpu *gpu, const struct fingerprint_key *key, char *reason);

/* The key as kernels take it. */
void prove_key(const struct fingerprint_key *key, struct kernels_key *key_out);

#endif
