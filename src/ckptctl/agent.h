/* SPDX-License-Identifier: Apache-2.0 */
/* What export and import share: this node's agent, through libckpt. */
#ifndef CKPT_CKPTCTL_AGENT_H
#define CKPT_CKPTCTL_AGENT_H

#include <ckpt/ckpt.h>

#include "ckptctl/ctl.h"

/* A reader's context of the run; a failure is complained of. */
enum exit_code agent_open_reader(const struct ctl *ctl, const char *run, struct ckpt **ckpt_out);

/* Complains of a failed call of libckpt, and gives its exit code. */
enum exit_code agent_complain(enum ckpt_status status, const char *reason);

#endif
