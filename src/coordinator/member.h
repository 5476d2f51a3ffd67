/* SPDX-License-Identifier: Apache-2.0 */
/* Members: leases and loss. */
#ifndef CKPT_COORDINATOR_MEMBER_H
#define CKPT_COORDINATOR_MEMBER_H

#include "coordinator/state.h"

/* The member is on this connection. */
void coordinator_member_link(struct coordinator *c, struct member *m, uint32_t link);
/* The member is on no connection. */
void coordinator_member_unlink(struct coordinator *c, struct member *m);
/* The member is lost, and what it holds counts no more; people hear why. */
void coordinator_member_lost(struct coordinator *c, struct member *m, const char *why);
/* The member said goodbye. */
void coordinator_member_stopped(struct coordinator *c, struct member *m);
/* A connection closed: whose it was has little time to come back. */
void coordinator_member_disconnected(struct coordinator *c, uint32_t link);
/* Whose lease is over is lost, unless words of theirs may lie unread. Leases only grow while agents
 * are heard, so that after a look nobody can be due before the earliest end that was seen: some
 * looks a lease, not one a round. */
void coordinator_members_tick(struct coordinator *c, bool unread);

#endif
