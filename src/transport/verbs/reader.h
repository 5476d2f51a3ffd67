/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: reads, cut into slices. */
#ifndef CKPT_TRANSPORT_VERBS_READER_H
#define CKPT_TRANSPORT_VERBS_READER_H

#include "transport/verbs/verbs.h"

enum ckpt_status verbs_start_read(const struct transport_read_request *request);
void verbs_issue(struct verbs *v);
void verbs_endpoint_reads_fail(struct verbs_endpoint *endpoint, enum ckpt_status status);
/* Takes completions of one rail; returns how many. */
int verbs_poll(struct verbs_rail *rail);
/* After the queue pair of a lane was destroyed: what has not come back of it never will. */
void verbs_lane_reclaim(struct verbs_lane *lane);

#endif
