/* SPDX-License-Identifier: Apache-2.0 */
/* A copy past the caches, for bytes that the copier does not read again.
 *
 * Long runs are written in whole cache lines by non-temporal stores: no line is read before it is
 * written, and the caches stay with whoever else uses them. libc's memcpy may become REP MOVSB
 * besides, which some CPUs (AMD Zen 3 and 4) run at a fraction of its speed when source and target
 * lie at nearly the same place of their pages. Short runs, and CPUs without such stores, get
 * memcpy. */
#ifndef CKPT_BASE_STREAM_COPY_H
#define CKPT_BASE_STREAM_COPY_H

#include <stddef.h>
#include <stdint.h>

/* As memcpy: the ranges must not overlap, any alignment. When it returns, the bytes are visible to
 * other CPUs like those of ordinary stores. Pure; any thread. */
void stream_copy(uint8_t *to, const uint8_t *from, size_t bytes);

#endif
