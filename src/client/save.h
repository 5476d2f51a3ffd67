/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: a save that was begun. */
#ifndef CKPT_CLIENT_SAVE_H
#define CKPT_CLIENT_SAVE_H

#include "client/context.h"

/* What a call about a begun save begins with: client_enter(), and CKPT_ERR_INVALID when it
 * is not the step that was begun. */
enum ckpt_status client_begun_enter(struct ckpt *ckpt, uint64_t step);

/* Whether its slot is still granted; else CKPT_ERR_NO_AGENT. */
enum ckpt_status client_begun_check(struct ckpt *ckpt);

/* It is over, and the slot is given back. */
void client_begun_give_up(struct ckpt *ckpt);

#endif
