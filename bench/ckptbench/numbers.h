/* SPDX-License-Identifier: Apache-2.0 */
/* A flag that is a list of numbers: "64KiB,1MiB". */
#ifndef CKPTBENCH_NUMBERS_H
#define CKPTBENCH_NUMBERS_H

#include "config/config.h"

/* Reads the list of the n-th key as numbers of the type (CONFIG_BYTES or CONFIG_INTEGER) from least
 * to most. False: one is no such number, or there are more than size; reason (CKPT_REASON_MAX + 1
 * bytes) says which. */
bool numbers_read(const struct config *config, size_t key, enum config_type type, int64_t least,
                  int64_t most, uint64_t *numbers_out, size_t size, size_t *count_out,
                  char *reason);

#endif
