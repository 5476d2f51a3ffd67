/* SPDX-License-Identifier: Apache-2.0 */
/* What the scheduler's hooks and the verb job share: one word with this node's agent. */
#ifndef CKPT_CKPTCTL_HOOK_H
#define CKPT_CKPTCTL_HOOK_H

#include <ckpt/status.h>

#include "ckptctl/ctl.h"
#include "slurm/job.h"
#include "wire/message.h"

/* The agent's socket: --socket, CKPT_SOCKET, or the default. */
const char *hook_socket(const struct ctl *ctl);

/* Tells the agent, and waits for its answer, within timeout_ms in all. What it refuses is the
 * status that it gave. reason_out (CKPT_REASON_MAX + 1 bytes) is set on failure. */
enum ckpt_status hook_tell(const struct ctl *ctl, const struct message_job *told,
                           uint32_t timeout_ms, struct message_job_told *answer_out,
                           char *reason_out);

/* The job of this process's environment, with the configured linger where it names none. */
enum ckpt_status hook_read_job(const struct ctl *ctl, struct slurm_job *job_out, char *reason_out);

/* A message about the job. */
void hook_fill(const struct slurm_job *job, enum job_verb verb, struct message_job *told_out);

/* From now on this process ends after timeout_ms, whatever hangs, with the line
 * "ckptd: <what>: not within ..." and the exit status. */
void hook_bound(const char *what, uint32_t timeout_ms, int code);

#endif
