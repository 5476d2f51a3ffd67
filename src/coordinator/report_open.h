/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint opens at the first report of it, or is refused. */
#ifndef CKPT_COORDINATOR_REPORT_OPEN_H
#define CKPT_COORDINATOR_REPORT_OPEN_H

#include "coordinator/state.h"

/* Opens the checkpoint at its first owner's report. NULL: refused or put off, and answered. */
struct checkpoint *coordinator_report_open(struct coordinator *c, uint32_t member,
                                           const struct message_shard_report *r);

#endif
