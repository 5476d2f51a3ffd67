/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: memory of saves to come. */
#ifndef CKPT_CLIENT_PREPARE_H
#define CKPT_CLIENT_PREPARE_H

#include "client/context.h"

/* Maps and faults in what the next saves of so many bytes will get. The context is a rank's. */
enum ckpt_status client_prepare(struct ckpt *ckpt, uint64_t bytes, struct deadline deadline);

#endif
