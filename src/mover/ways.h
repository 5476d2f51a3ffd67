/* SPDX-License-Identifier: Apache-2.0 */
/* The ways to the transports that are read from, each by the control connection on which its
 * address was offered; made by the first read over it, and anew after a failure. */
#ifndef CKPT_MOVER_WAYS_H
#define CKPT_MOVER_WAYS_H

#include "mover/state.h"
#include "mover/work.h"

#define MOVER_OWN_LINK 0 /* of the way back to this transport; no connection has this number */

struct transport_endpoint;

/* Over which this work is read. Errors as transport_connect(), and CKPT_ERR_MEMORY. */
enum ckpt_status mover_ways_find(struct mover *m, const struct work *work,
                                 struct transport_endpoint **endpoint_out);

/* No new reads go over it. */
void mover_ways_give_up(struct mover *m, uint32_t link);

/* The transport is through with the endpoint of this cookie. */
void mover_ways_gone(struct mover *m, uint64_t cookie);

/* All, once the transport is closed. */
void mover_ways_free(struct mover *m);

#endif
