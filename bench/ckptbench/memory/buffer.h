/* SPDX-License-Identifier: Apache-2.0 */
/* Memory to measure with: every page is there before the first measurement. */
#ifndef CKPTBENCH_BUFFER_H
#define CKPTBENCH_BUFFER_H

#include <stddef.h>
#include <stdint.h>

/* Private memory, as a trainer has; NULL: none. Freed with buffer_free. */
uint8_t *buffer_make(size_t bytes);

/* Shared memory, as an arena's segments are, of an unnamed file. */
uint8_t *buffer_make_shared(size_t bytes);

void buffer_free(uint8_t **buffer, size_t bytes);

/* Fills it with bytes that no one could compress, the same for the same seed. */
void buffer_fill(uint8_t *buffer, size_t bytes, uint64_t seed);

#endif
