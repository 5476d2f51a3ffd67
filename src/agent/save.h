/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's saves: slot asked for, sealed or abandoned. */
#ifndef CKPT_AGENT_SAVE_H
#define CKPT_AGENT_SAVE_H

#include "agent/state.h"

void agent_save_ask(struct agent *a, uint32_t session, const struct message_slot_ask *ask);
void agent_save_seal(struct agent *a, uint32_t session, const struct message_seal *seal);
void agent_save_abandon(struct agent *a, uint32_t session, const struct message_abandon *abandon);
/* Whether the words name the slot that the session fills. */
bool agent_save_names_filling(const struct agent *a, const struct rank_session *session,
                              uint64_t step, uint32_t slot, uint64_t generation);
/* The memory of a slot that a rank waits for is renewed, or cannot be. */
void agent_save_renewed(struct agent *a, uint32_t slot, enum ckpt_status status);

#endif
