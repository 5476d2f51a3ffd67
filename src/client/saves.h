/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the last saves. */
#ifndef CKPT_CLIENT_SAVES_H
#define CKPT_CLIENT_SAVES_H

#include "client/context.h"

/* Which steps were sealed, and how they ended. */
void client_saves_add(struct ckpt *ckpt, uint64_t step);
struct save *client_saves_find(struct ckpt *ckpt, uint64_t step);
void client_saves_end(struct ckpt *ckpt, uint64_t step, enum ckpt_status status,
                      const char *reason);

#endif
