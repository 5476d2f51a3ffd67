/* SPDX-License-Identifier: Apache-2.0 */
/* The daemons that answer, or do not: this node's agent, and its coordinator. */
#ifndef CKPT_CKPTCTL_DOCTOR_AGENT_H
#define CKPT_CKPTCTL_DOCTOR_AGENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "ckptctl/doctor_settings.h"

struct doctor_agent {
    bool answers;
    pid_t pid; /* of who listens; 0: nobody, or not to be seen */
    uid_t uid; /* of that process */
};

/* Asks at --socket or CKPT_SOCKET, else where ckptd is configured to listen. */
void doctor_ask_agent(const struct ctl *ctl, const struct doctor_settings *settings,
                      struct doctor_agent *agent_out, struct findings *findings);

/* Asks the coordinator that ckptd is configured to talk to. */
void doctor_ask_coordinator(const struct ctl *ctl, const struct doctor_settings *settings,
                            struct findings *findings);

/* Holds the versions of daemons against this program's; "" for one that is not known. Pure. */
void doctor_judge_versions(const char *agent, const char *coordinator, struct findings *findings);

#endif
