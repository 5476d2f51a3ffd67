/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: devices that are taken away. */
#ifndef CKPT_TRANSPORT_VERBS_REMOVAL_H
#define CKPT_TRANSPORT_VERBS_REMOVAL_H

#include "transport/verbs/verbs.h"

/* Devices that are taken away. mark is for where events are taken; tend then gives back
 * what is held of the devices that were marked,
 * which takes as long as deregistering memory does. */
void verbs_rail_mark_removed(struct verbs_rail *rail, const char *why);
void verbs_removals_tend(struct verbs *v);
uint32_t verbs_rails_left(const struct verbs *v);

#endif
