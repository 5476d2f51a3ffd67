/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_MOVER_FEED_DEVICE_H
#define CKPT_MOVER_FEED_DEVICE_H

#include "mover/feed.h"

/* WORK_GATHER: a rank's device memory, read into the slot that it fills: by the transport, from
 * this node's own NIC, over a way that leads back to this transport.
 *
 * The dma-buf is registered for the one gather, under the slot's generation, and its descriptor
 * goes to nobody: no peer can read memory that its rank may free. It is deregistered before the
 * rank hears that the gather has ended. */
extern const struct feed feed_device;

#endif
