/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: UCX's log goes to ours. */
#ifndef CKPT_TRANSPORT_UCX_LOG_H
#define CKPT_TRANSPORT_UCX_LOG_H

#include "transport/ucx/ucx.h"

void ucx_log_take(void);

#endif
