/* SPDX-License-Identifier: Apache-2.0 */
/* The targets of docs/benchmarks.md: what --check compares with and a plot shows, each only for
 * checkpoints of the sizes that it holds for. */
#ifndef CKPTBENCH_TARGETS_H
#define CKPTBENCH_TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target {
    const char *key; /* of a report */
    double limit;
    bool at_most;
    uint64_t bytes_min; /* of the checkpoint */
};

extern const struct target targets_of_cycle[];
extern const size_t targets_of_cycle_count;

/* Of fingerprints beside BLAKE3 (`cycle --digest=both`), for a CPU of that name. NULL: there are
 * none for it. */
const struct target *targets_of_digests(const char *cpu, size_t *count_out);

/* Of the cycle; NULL: the key has none. */
const struct target *target_find(const char *key);

bool target_holds_for(const struct target *target, uint64_t bytes);

#endif
