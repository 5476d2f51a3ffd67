/* SPDX-License-Identifier: Apache-2.0 */
/* Queue pairs. rdma_cm gives addresses, numbers and a random first PSN; what it would allow the
 * peer to do, and how long it would wait, is decided here. */
#include "transport/verbs/pair.h"
#include "transport/verbs/verbs.h"

enum ckpt_status verbs_pair_create(struct verbs_rail *rail, struct verbs_party *party,
                                   uint32_t works, struct ibv_qp **qp_out)
{
    struct ibv_qp_init_attr attributes = {
        .qp_context = party,
        .send_cq = rail->cq,
        .recv_cq = rail->cq,
        .cap = {.max_send_wr = works, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1},
        .qp_type = IBV_QPT_RC,
        .sq_sig_all = 1};
    struct ibv_qp *qp = ibv_create_qp(rail->pd, &attributes);

    if (qp == NULL) {
        return CKPT_ERR_MEMORY;
    }
    *qp_out = qp;
    return CKPT_OK;
}

enum ckpt_status verbs_pair_init(struct rdma_cm_id *id, struct ibv_qp *qp, bool readable)
{
    struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_INIT};
    int mask = 0;

    if (rdma_init_qp_attr(id, &attributes, &mask) != 0) {
        return CKPT_ERR_LINK;
    }
    /* rdma_cm's own choice includes REMOTE_WRITE. */
    attributes.qp_access_flags = readable ? IBV_ACCESS_REMOTE_READ : 0;
    mask |= IBV_QP_ACCESS_FLAGS;
    return ibv_modify_qp(qp, &attributes, mask) == 0 ? CKPT_OK : CKPT_ERR_LINK;
}

enum ckpt_status verbs_pair_ready(const struct verbs_rail *rail, struct rdma_cm_id *id,
                                  struct ibv_qp *qp, uint8_t mtu, uint8_t issue_depth,
                                  uint8_t answer_depth)
{
    struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_RTR};
    int mask = 0;

    if (rdma_init_qp_attr(id, &attributes, &mask) != 0) {
        return CKPT_ERR_LINK;
    }
    attributes.path_mtu = (enum ibv_mtu)mtu;
    attributes.max_dest_rd_atomic = answer_depth;
    attributes.min_rnr_timer = 12;
    if (rail->verbs->traffic_class != 0) {
        attributes.ah_attr.grh.traffic_class = rail->verbs->traffic_class;
    }
    if (rail->verbs->service_level != 0) {
        attributes.ah_attr.sl = rail->verbs->service_level;
    }
    mask &= ~IBV_QP_ACCESS_FLAGS;
    if (ibv_modify_qp(qp, &attributes, mask) != 0) {
        return CKPT_ERR_LINK;
    }
    attributes = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTS};
    mask = 0;
    if (rdma_init_qp_attr(id, &attributes, &mask) != 0) {
        return CKPT_ERR_LINK;
    }
    attributes.timeout = VERBS_TIMEOUT;
    attributes.retry_cnt = VERBS_RETRIES;
    attributes.rnr_retry = 0;
    attributes.max_rd_atomic = issue_depth;
    mask &= ~IBV_QP_ACCESS_FLAGS;
    return ibv_modify_qp(qp, &attributes, mask) == 0 ? CKPT_OK : CKPT_ERR_LINK;
}

void verbs_pair_fail(struct ibv_qp *qp)
{
    struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_ERR};

    ibv_modify_qp(qp, &attributes, IBV_QP_STATE);
}
