/* SPDX-License-Identifier: Apache-2.0 */
/* A bucket of an S3 server. */
#ifndef CKPT_TIER_S3_H
#define CKPT_TIER_S3_H

#include "tier/backend.h"

extern const struct tier_backend tier_s3;

#endif
