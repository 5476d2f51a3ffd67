/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTD_TRANSPORT_H
#define CKPT_CKPTD_TRANSPORT_H

#include "ckptd/daemon.h"
#include "daemon/part.h"

/* Which rails shards are read over, and where memory and threads belong beside them. */
extern struct part part_rails;
enum rails_key { RAILS_SPEC, RAILS_DEVICES, RAILS_RAILS, RAILS_KEYS };

/* The mover, with its transport open, and without memory yet (workers.h). */
extern struct part part_transport;
enum transport_key {
    TRANSPORT_TIMEOUT,
    TRANSPORT_DEPTH,
    TRANSPORT_SLICE_BYTES,
    TRANSPORT_TRAFFIC_CLASS,
    TRANSPORT_SERVICE_LEVEL,
    TRANSPORT_SPIN,
    TRANSPORT_ALLOW_SLOW,
    TRANSPORT_KEYS
};

#endif
