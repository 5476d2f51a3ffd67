/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes in messages. */
#ifndef CKPT_BASE_SIZES_H
#define CKPT_BASE_SIZES_H

#include <stdint.h>

#define SIZE_TEXT_BYTES 32

struct size_pair {
    char a[SIZE_TEXT_BYTES], b[SIZE_TEXT_BYTES];
};

/* Two sizes that are compared, as text in one unit: GiB, or the largest one below in which they are
 * not the same number. Pure. */
struct size_pair size_pair(uint64_t a, uint64_t b);

#endif
