/* SPDX-License-Identifier: Apache-2.0 */
/* The bars of docs/benchmarks.md: what --check compares with and a plot shows. */
#ifndef CKPTBENCH_BARS_H
#define CKPTBENCH_BARS_H

#include <stdbool.h>
#include <stddef.h>

struct bar {
    const char *key; /* of a report */
    double limit;
    bool at_most;
};

extern const struct bar bars_of_cycle[];
extern const size_t bars_of_cycle_count;

/* Of the cycle; NULL: the key has none. */
const struct bar *bar_find(const char *key);

#endif
