/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the reader's end of connections. */
#ifndef CKPT_TRANSPORT_VERBS_LANE_H
#define CKPT_TRANSPORT_VERBS_LANE_H

#include "transport/verbs/verbs.h"

/* The reader's end of connections. */
void verbs_lane_event(struct verbs_lane *lane, const struct rdma_cm_event *event);
void verbs_lane_fail(struct verbs_lane *lane, bool pause);
void verbs_lane_close(struct verbs_lane *lane);
void verbs_lane_tend(struct verbs_lane *lane, uint64_t now_ns);

#endif
