/* SPDX-License-Identifier: Apache-2.0 */
/* memcpy by some threads: what a save is measured against. */
#ifndef CKPTBENCH_COPY_H
#define CKPTBENCH_COPY_H

#include <stddef.h>
#include <stdint.h>

#include <ckpt/status.h>

/* Copies, each thread a contiguous part, the caller's thread one of them; *seconds_out is from
 * before the first thread starts to after the last has ended. CKPT_ERR_SYSTEM when a thread cannot
 * be made. */
enum ckpt_status copy_measure(uint8_t *to, const uint8_t *from, size_t bytes, uint32_t threads,
                              double *seconds_out);

#endif
