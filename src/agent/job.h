/* SPDX-License-Identifier: Apache-2.0 */
/* What the scheduler says of jobs on this node. */
#ifndef CKPT_AGENT_JOB_H
#define CKPT_AGENT_JOB_H

#include "agent/state.h"

void agent_job_told(struct agent *a, uint32_t session, const struct message_job *told);
void agent_job_ack(struct agent *a, const struct message_job_ack *ack);
/* To a coordinator that may know of none. */
void agent_jobs_resend(struct agent *a);
void agent_jobs_pump(struct agent *a);

#endif
