/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/tier.h"

#include <stdint.h>

#define MAX_AGE_MAX_MS (3650LL * 24 * 3600 * 1000)

static const struct config_key keys[TIER_KEYS] = {
    [TIER_EVERY] = {.section = "tier",
                    .name = "every",
                    .type = CONFIG_INTEGER,
                    .fallback = "1",
                    .max = INT64_MAX,
                    .help = "of each stretch of so many steps, the first checkpoint that is "
                            "consistent goes to the agents' tier; 0: none for its step's sake"},
    [TIER_MAX_AGE] = {.section = "tier",
                      .name = "max_age",
                      .type = CONFIG_DURATION,
                      .fallback = "0",
                      .max = MAX_AGE_MAX_MS,
                      .help = "the newest consistent checkpoint goes to the tier when the last one "
                              "of its run went there so long ago; 0: never for that"},
};

struct part part_tier = {.keys = keys, .key_count = TIER_KEYS};
