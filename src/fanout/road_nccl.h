/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces by NCCL, through memory of each rank's GPU. */
#ifndef CKPT_FANOUT_ROAD_NCCL_H
#define CKPT_FANOUT_ROAD_NCCL_H

#include "fanout/road.h"

extern const struct fanout_road road_nccl;

#endif
