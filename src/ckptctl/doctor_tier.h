/* SPDX-License-Identifier: Apache-2.0 */
/* The tier: whether it is reached, and can be written to. */
#ifndef CKPT_CKPTCTL_DOCTOR_TIER_H
#define CKPT_CKPTCTL_DOCTOR_TIER_H

#include "ckptctl/doctor_agent.h"

/* Tries it, within timeout_ms: as the agent's user where root asks and the agent answers. Nothing
 * that was written stays. */
void doctor_try_tier(const struct doctor_settings *settings, const struct doctor_agent *agent,
                     uint32_t timeout_ms, struct findings *findings);

#endif
