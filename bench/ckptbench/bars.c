/* SPDX-License-Identifier: Apache-2.0 */
#include "bars.h"

#include <string.h>

const struct bar bars_of_cycle[] = {
    {"stall_ratio", 0.95, false},
    {"save_small_ms", 1.0, true},
    {"replicate_ratio", 0.70, false},
    {"restore_ratio", 0.70, false},
    {"agent_rss_beyond_arena_bytes", 64.0 * 1024 * 1024, true},
};

const size_t bars_of_cycle_count = sizeof(bars_of_cycle) / sizeof(bars_of_cycle[0]);

const struct bar *bar_find(const char *key)
{
    for (size_t i = 0; i < bars_of_cycle_count; i++) {
        if (strcmp(bars_of_cycle[i].key, key) == 0) {
            return &bars_of_cycle[i];
        }
    }
    return NULL;
}
