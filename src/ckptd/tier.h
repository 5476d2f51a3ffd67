/* SPDX-License-Identifier: Apache-2.0 */
/* The tier: where the agent takes shards that are consistent. */
#ifndef CKPT_CKPTD_TIER_H
#define CKPT_CKPTD_TIER_H

#include "ckptd/daemon.h"
#include "daemon/part.h"

extern struct part part_tier;
enum tier_key {
    TIER_PATH,
    TIER_BYTES_PER_SECOND,
    TIER_ENDPOINT,
    TIER_REGION,
    TIER_TIMEOUT,
    TIER_NICE,
    TIER_KEYS
};

#endif
