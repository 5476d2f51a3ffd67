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

/* BLAKE3 is twice as fast on a Zen 4 as on a Xeon, so that less is to be gained there. */
static const struct target targets_of_xeon[] = {
    {"replicate_speedup", 1.5, false, LARGE},     {"restore_speedup", 1.3, false, LARGE},
    {"local_restore_speedup", 1.7, false, LARGE}, {"cpu_ratio", 0.65, true, LARGE},
    {"consistent_small_ratio", 1.0, true, 0},
};
static const struct target targets_of_zen[] = {
    {"replicate_speedup", 1.25, false, LARGE},    {"restore_speedup", 1.12, false, LARGE},
    {"local_restore_speedup", 1.3, false, LARGE}, {"cpu_ratio", 0.75, true, LARGE},
    {"consistent_small_ratio", 1.0, true, 0},
};
_Static_assert(sizeof(targets_of_xeon) == sizeof(targets_of_zen), "the same keys");

const struct target *targets_of_digests(const char *cpu, size_t *count_out)
{
    *count_out = sizeof(targets_of_xeon) / sizeof(targets_of_xeon[0]);
    if (strstr(cpu, "Intel") != NULL) {
        return targets_of_xeon;
    }
    return strstr(cpu, "AMD") != NULL ? targets_of_zen : NULL;
}

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
