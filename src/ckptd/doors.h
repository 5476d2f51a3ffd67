/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTD_DOORS_H
#define CKPT_CKPTD_DOORS_H

#include "ckptd/daemon.h"
#include "daemon/part.h"

/* Where peers and ranks come in. The addresses are taken here; who connects is served later
 * (service.h). */
extern struct part part_doors;
enum doors_key { DOORS_LISTEN, DOORS_ADVERTISE, DOORS_SOCKET, DOORS_SOCKET_MODE, DOORS_KEYS };

#endif
