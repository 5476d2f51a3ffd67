/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the start of the job that this process is of. */
#ifndef CKPT_CLIENT_START_NAME_H
#define CKPT_CLIENT_START_NAME_H

#include <stdbool.h>

#include "base/ids.h"

/* How the launcher's environment names the start of this process. Zero: it does not,
 * or what it says is the same for several. */
struct nonce client_start_name(void);

/* A name for this process that no other has. False: the kernel has no random numbers. */
bool client_seat_new(struct nonce *seat_out);

#endif
