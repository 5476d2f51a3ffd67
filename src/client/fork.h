/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: what a child of fork() must not use. */
#ifndef CKPT_CLIENT_FORK_H
#define CKPT_CLIENT_FORK_H

#include "client/context.h"

/* A child made by fork() closes the connection of each watched context. CKPT_ERR_MEMORY. */
enum ckpt_status client_fork_watch(struct ckpt *ckpt);
void client_fork_unwatch(struct ckpt *ckpt);

#endif
