/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: what was loaded. */
#ifndef CKPT_CLIENT_LOAD_H
#define CKPT_CLIENT_LOAD_H

#include "client/context.h"

/* Unmaps everything that was loaded. */
void client_loaded_clear(struct ckpt *ckpt);

#endif
