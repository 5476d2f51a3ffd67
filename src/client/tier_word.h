/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: what is told of a save and the tier. */
#ifndef CKPT_CLIENT_TIER_WORD_H
#define CKPT_CLIENT_TIER_WORD_H

#include "client/context.h"
#include "wire/message.h"

/* Notes it with the save whose question it answers; nothing when that is none. */
void client_tier_hear(struct ckpt *ckpt, const struct message_checkpoint_info *info);

#endif
