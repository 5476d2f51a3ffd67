/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/verbs/fault_class.h"

enum fault_class fault_class_of(enum ibv_wc_status status, bool way_out)
{
    switch (status) {
    case IBV_WC_WR_FLUSH_ERR:
        return FAULT_FLUSHED;
    case IBV_WC_LOC_QP_OP_ERR:
        return way_out ? FAULT_PROGRAM : FAULT_RAIL;
    case IBV_WC_RETRY_EXC_ERR:
    case IBV_WC_RNR_RETRY_EXC_ERR:
    case IBV_WC_REM_OP_ERR:
    case IBV_WC_REM_ABORT_ERR:
    case IBV_WC_RESP_TIMEOUT_ERR:
    case IBV_WC_BAD_RESP_ERR:
    case IBV_WC_FATAL_ERR:
    case IBV_WC_GENERAL_ERR:
        return FAULT_RAIL;
    case IBV_WC_REM_ACCESS_ERR:
        return FAULT_LEASE;
    case IBV_WC_SUCCESS:
    case IBV_WC_LOC_LEN_ERR:
    case IBV_WC_LOC_EEC_OP_ERR:
    case IBV_WC_LOC_PROT_ERR:
    case IBV_WC_LOC_ACCESS_ERR:
    case IBV_WC_LOC_RDD_VIOL_ERR:
    case IBV_WC_MW_BIND_ERR:
    case IBV_WC_REM_INV_REQ_ERR:
    case IBV_WC_REM_INV_RD_REQ_ERR:
    case IBV_WC_INV_EECN_ERR:
    case IBV_WC_INV_EEC_STATE_ERR:
    case IBV_WC_TM_ERR:
    case IBV_WC_TM_RNDV_INCOMPLETE:
        break;
    }
    return FAULT_PROGRAM;
}
