/* SPDX-License-Identifier: Apache-2.0 */
#include "report/targets.h"

#include <string.h>

#include "base/limits.h"

/* Ratios of bandwidths are of checkpoints that fit no cache. */
#define LARGE CKPT_GIB

const struct target targets_of_cycle[] = {
    {"stall_ratio", 0.95, false, LARGE},
    {"save_small_ms", 1.0, true, 0},
    {"replicate_ratio", 0.70, false, LARGE},
    {"restore_ratio", 0.70, false, LARGE},
    {"agent_rss_beyond_arena_bytes", 64.0 * 1024 * 1024, true, 0},
};

const size_t targets_of_cycle_count = sizeof(targets_of_cycle) / sizeof(targets_of_cycle[0]);

const struct target *target_find(const char *key)
{
    for (size_t i = 0; i < targets_of_cycle_count; i++) {
        if (strcmp(targets_of_cycle[i].key, key) == 0) {
            return &targets_of_cycle[i];
        }
    }
    return NULL;
}

bool target_holds_for(const struct target *target, uint64_t bytes)
{
    return bytes >= target->bytes_min;
}
