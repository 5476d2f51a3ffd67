/* SPDX-License-Identifier: Apache-2.0 */
/* The file by which b3sum checks a checkpoint without us. Pure. */
#ifndef CKPT_TIER_SUMS_H
#define CKPT_TIER_SUMS_H

#include "tier/tier.h"

/* The text of B3SUMS, of the files as they lie there, for free(); NULL: no memory. */
char *sums_encode(const struct tier_manifest *manifest);

#endif
