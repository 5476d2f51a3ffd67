/* SPDX-License-Identifier: Apache-2.0 */
/* An agent for a job, where none runs. */
#ifndef CKPT_CKPTCTL_START_AGENT_H
#define CKPT_CKPTCTL_START_AGENT_H

#include <ckpt/status.h>

#include "ckptctl/ctl.h"

/* Makes sure that an agent answers at the socket, starting one where there is none.
 * CKPT_ERR_TIMEOUT: it is still starting. */
enum ckpt_status hook_start_agent(const struct ctl *ctl, char *reason_out);

#endif
