/* SPDX-License-Identifier: Apache-2.0 */
/* Files in this process' memory, for tests: all that open one name see one tier. */
#ifndef CKPT_TIER_MEMORY_H
#define CKPT_TIER_MEMORY_H

#include "tier/backend.h"

extern const struct tier_backend tier_memory;

#endif
