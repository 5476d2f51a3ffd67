/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel and systemd say of this node's memory. */
#ifndef CKPT_CKPTCTL_DOCTOR_READ_MEMORY_H
#define CKPT_CKPTCTL_DOCTOR_READ_MEMORY_H

#include "ckptctl/doctor_agent.h"
#include "ckptctl/doctor_memory.h"

/* Limits are the running agent's, else of systemd's unit, else this process's own. */
void doctor_read_memory(const struct doctor_settings *settings, const struct doctor_agent *agent,
                        struct doctor_memory *memory_out);

#endif
