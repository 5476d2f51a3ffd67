/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a file system, local or of the cluster. */
#ifndef CKPT_TIER_POSIX_H
#define CKPT_TIER_POSIX_H

#include "tier/backend.h"

extern const struct tier_backend tier_posix;

#endif
