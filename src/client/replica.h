/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the degree of a save. */
#ifndef CKPT_CLIENT_REPLICA_H
#define CKPT_CLIENT_REPLICA_H

#include "client/context.h"

/* Adds what ckpt_save_replica said of the seal's step. */
void client_replica_ride(struct ckpt *ckpt, struct message_seal *seal);

#endif
