/* SPDX-License-Identifier: Apache-2.0 */
/* Whose fault a failed work request is. Pure. */
#ifndef CKPT_TRANSPORT_VERBS_FAULT_CLASS_H
#define CKPT_TRANSPORT_VERBS_FAULT_CLASS_H

#include <infiniband/verbs.h>
#include <stdbool.h>

enum fault_class {
    FAULT_FLUSHED, /* nobody's: another request of its queue pair failed; issue it again */
    FAULT_RAIL,    /* the path's: issue it again, elsewhere if there is another */
    FAULT_LEASE,   /* the peer refuses the key: its region is gone */
    FAULT_PROGRAM  /* ours, or the peer's: the same request would fail again */
};

/* way_out says whether the rail's port and its network interface are up, and were: LOC_QP_OP_ERR is
 * what Soft-RoCE gives when there is no way out of the machine any more, and a defect of ours
 * otherwise. */
enum fault_class fault_class_of(enum ibv_wc_status status, bool way_out);

#endif
