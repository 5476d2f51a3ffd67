/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent may be told to be. */
#ifndef CKPT_AGENT_CONFIG_H
#define CKPT_AGENT_CONFIG_H

#include "agent/state.h"

/* What is out of range; NULL: nothing. */
const char *agent_config_fault(const struct agent_config *config);

#endif
