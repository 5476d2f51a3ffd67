/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to the coordinator, which is sought for ever, with growing pauses. What is said
 * about it is said rarely. */
#ifndef CKPT_CKPTD_COORDINATOR_H
#define CKPT_CKPTD_COORDINATOR_H

#include "ckptd/daemon.h"
#include "daemon/part.h"

extern struct part part_coordinator;
enum coordinator_key { COORDINATOR_ADDRESS, COORDINATOR_KEYS };

/* Begins to connect; what becomes of it, d->coordinator_events hear. */
void coordinator_connect(struct daemon *d);

/* What they are to call: it is connected; a message of its was heard; it is gone, or could not be
 * reached, and is tried again: false when it was not up. */
void coordinator_is_up(struct daemon *d, const struct session *session);
void coordinator_has_spoken(struct daemon *d);
bool coordinator_is_down(struct daemon *d, enum ckpt_status status, const char *reason);

#endif
