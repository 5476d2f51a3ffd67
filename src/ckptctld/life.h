/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTCTLD_LIFE_H
#define CKPT_CKPTCTLD_LIFE_H

#include "ckptctld/daemon.h"
#include "daemon/part.h"

/* How the coordinator stands to who starts it: signals end it, the service manager hears that it
 * turns. */
extern struct part part_life;

#endif
