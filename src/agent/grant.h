/* SPDX-License-Identifier: Apache-2.0 */
/* The slot that a rank asks for to write into: granted, or refused with a reason. */
#ifndef CKPT_AGENT_GRANT_H
#define CKPT_AGENT_GRANT_H

#include "agent/state.h"

/* The answer to an ask for a slot: status says why there is none. */
void agent_grant_refuse(struct agent *a, const struct rank_session *session, uint64_t step,
                        enum ckpt_status status, const char *reason);
/* The answer: the slot that the session fills. */
void agent_grant(struct agent *a, const struct rank_session *session);
/* Whether the agent takes new shards at all. */
enum ckpt_status agent_grant_check_open(const struct agent *a, char *reason);
/* Whether the rank may save that step; else reason says why not. */
enum ckpt_status agent_grant_check_step(struct agent *a, const struct rank_session *session,
                                        uint64_t step, char *reason);
struct slot_claim agent_grant_claim_of(const struct agent *a, const struct rank_session *session,
                                       uint64_t step, uint64_t bytes);
/* A copy of what the claim names, or the process's own save of it that has no number yet. */
uint32_t agent_grant_find_claimed(const struct agent *a, const struct rank_session *session,
                                  const struct slot_claim *claim);
/* Takes the slot, and grants it unless its memory is renewed first. False: *status_out says why. */
bool agent_grant_slot(struct agent *a, uint32_t session, const struct slot_claim *claim,
                      char *reason, enum ckpt_status *status_out);

#endif
