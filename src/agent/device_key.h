/* SPDX-License-Identifier: Apache-2.0 */
/* The key of one save, under which a device computes what its bytes are before they are copied, and
 * this agent again from the slot.
 *
 * It is told to the rank with the grant, so it is of no other save and no run: who sees values
 * under a key learns the key. */
#ifndef CKPT_AGENT_DEVICE_KEY_H
#define CKPT_AGENT_DEVICE_KEY_H

#include "agent/state.h"

/* Of the slot's generation: the same whenever it is asked for. */
void agent_device_key(const struct agent *a, uint32_t slot, struct digest_key *key_out);

/* What a rank said with its seal: kept, and noted where it is bad news. */
void agent_device_sealed(struct agent *a, uint32_t slot, const struct message_seal *seal);

/* Whether the slot's bytes, of that digest under its device key, are those that its rank's device
 * had; there is a note and an outcome when not. True where the rank said nothing. */
bool agent_device_agrees(struct agent *a, uint32_t slot, const struct digest *digest);

#endif
