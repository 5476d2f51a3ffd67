/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces by TCP between the ranks, on addresses that they are given. */
#ifndef CKPT_FANOUT_ROAD_SOCKETS_H
#define CKPT_FANOUT_ROAD_SOCKETS_H

#include "fanout/road.h"

extern const struct fanout_road road_sockets;

#endif
