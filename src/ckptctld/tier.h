/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to the tier, by the configuration. */
#ifndef CKPT_CKPTCTLD_TIER_H
#define CKPT_CKPTCTLD_TIER_H

#include "daemon/part.h"

extern struct part part_tier;
enum tier_key { TIER_EVERY, TIER_MAX_AGE, TIER_KEYS };

#endif
