/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of tensors by chance, what is in them, and how many of their numbers are not finite. */
#ifndef CKPT_TESTS_TABLES_H
#define CKPT_TESTS_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"

struct table {
    struct kernels_tensor *tensors; /* device memory, as the others */
    struct kernels_counts *counts;  /* zero */
    uint64_t count;
    uint8_t *memory; /* where the tensors are */
    uint64_t memory_bytes;
};

/* Tensors of all types, of some bytes to some KiB, one after the other with gaps now and then. The
 * first begins 100 bytes before `place` and the last ends behind place + bytes. odd: elements have
 * any place; addresses are odd now and then in either case. */
void table_make(struct table *table, uint64_t place, uint64_t bytes, uint32_t seed, bool odd);
void table_free(struct table *table);

/* Puts what is no finite number, or nearly, among the elements of tensors that lie one after the
 * other in data, the first `bytes` bytes of which are to be written. */
void table_poison(uint8_t *data, uint64_t bytes, uint32_t dtype, uint32_t seed);

/* The elements of one tensor, by the definition of the type and one by one: those that begin in
 * `begin` to `end` - 1, and end before `limit`. data is the tensor's first byte. */
struct kernels_counts table_count(uint32_t dtype, const uint8_t *data, uint64_t begin, uint64_t end,
                                  uint64_t limit);

#endif
