/* SPDX-License-Identifier: Apache-2.0 */
/* What a person gives up: a node that will not come back, a run that nobody wants any more. */
#ifndef CKPT_COORDINATOR_FORGET_H
#define CKPT_COORDINATOR_FORGET_H

#include "coordinator/state.h"

/* The node leaves the tables; force: though it is the last that is known to hold something. */
void coordinator_node_forget(struct coordinator *c, const char *node, bool force);
/* Whose ranks are connected is in use, whatever a person thinks of it. */
void coordinator_run_forget(struct coordinator *c, struct run *run);

#endif
