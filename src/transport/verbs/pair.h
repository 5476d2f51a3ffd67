/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: queue pairs. */
#ifndef CKPT_TRANSPORT_VERBS_PAIR_H
#define CKPT_TRANSPORT_VERBS_PAIR_H

#include "transport/verbs/verbs.h"

/* Queue pairs. */
enum ckpt_status verbs_pair_create(struct verbs_rail *rail, struct verbs_party *party,
                                   uint32_t works, struct ibv_qp **qp_out);
/* Takes a queue pair from RESET to INIT; readable: the peer may read. */
enum ckpt_status verbs_pair_init(struct rdma_cm_id *id, struct ibv_qp *qp, bool readable);
/* And on to RTS. Depths are of reads: that we may issue, and that we answer. */
enum ckpt_status verbs_pair_ready(const struct verbs_rail *rail, struct rdma_cm_id *id,
                                  struct ibv_qp *qp, uint8_t mtu, uint8_t issue_depth,
                                  uint8_t answer_depth);
void verbs_pair_fail(struct ibv_qp *qp);

#endif
