/* SPDX-License-Identifier: Apache-2.0 */
/* A pull that failed: the copy was not made, and perhaps its source is to blame, or a full node. */
#ifndef CKPT_COORDINATOR_PULL_FAILED_H
#define CKPT_COORDINATOR_PULL_FAILED_H

#include "coordinator/state.h"

/* An agent says that it could not carry out a pull. */
void coordinator_on_pull_failed(struct coordinator *c, uint32_t member,
                                const struct message_pull_failed *f);

#endif
