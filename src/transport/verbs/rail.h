/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: one port of a device. */
#ifndef CKPT_TRANSPORT_VERBS_RAIL_H
#define CKPT_TRANSPORT_VERBS_RAIL_H

#include "transport/verbs/verbs.h"

/* The port, its address, its objects. */
enum ckpt_status verbs_rail_open(struct verbs *v, struct ibv_device *device, uint8_t port);
/* Frees what is there of the rail's objects. */
void verbs_rail_close(struct verbs_rail *rail);
enum ckpt_status verbs_rail_listen(struct verbs_rail *rail, uint16_t port);
/* Asks the device; a rail that is found down is not used until an event says that it is up. */
bool verbs_rail_look(struct verbs_rail *rail);

/* Whether requests had a way out of the machine by it: the port and its network interface are up,
 * and have been for VERBS_STIR_NS, since a fault is heard of later than it happens. now_ns is
 * clock_now_ns(). */
bool verbs_rail_had_way_out(struct verbs_rail *rail, uint64_t now_ns);

#endif
