/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTCTLD_SERVICE_H
#define CKPT_CKPTCTLD_SERVICE_H

#include "ckptctld/daemon.h"
#include "daemon/part.h"

/* Stops before all others do. */
extern struct part part_service;

/* Hears everybody, and says so; or ends the process. */
void service_begin(struct daemon *daemon);

#endif
