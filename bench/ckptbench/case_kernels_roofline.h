/* SPDX-License-Identifier: Apache-2.0 */
/* What a GPU allows each kernel at best. */
#ifndef CKPTBENCH_CASE_KERNELS_ROOFLINE_H
#define CKPTBENCH_CASE_KERNELS_ROOFLINE_H

#include "case_kernels_work.h"

/* How often a byte of the shard crosses the memory's wires: a copy's twice. */
double roofline_crossings(enum kernel_step step);

/* Bytes of the shard a second, by memory or by the units that execute instructions, whichever are
 * slower. NAN: it is bound by its launch, or the driver does not tell the clocks. */
double roofline_bytes_s(enum kernel_step step, const struct gpu *gpu);

#endif
