/* SPDX-License-Identifier: Apache-2.0 */
/* The names of members and of their domains, and each one's place in its domain. */
#ifndef CKPT_COORDINATOR_ROSTER_H
#define CKPT_COORDINATOR_ROSTER_H

#include "coordinator/state.h"

/* To a state that may follow upon the one it is in. */
void coordinator_member_move(struct coordinator *c, struct member *m, enum member_state to);
/* The member's node is in the domain of this name. */
bool coordinator_roster_is_in(const struct coordinator *c, const struct member *m,
                              const char *domain);
/* The member may be chosen for copies, or not any more. */
void coordinator_roster_set_usable(struct coordinator *c, uint32_t member, bool usable);
/* The member takes no new copies, or takes them again. */
void coordinator_roster_set_draining(struct coordinator *c, uint32_t member, bool draining);
/* A node that comes back in another rack: its copies went with its loss. */
void coordinator_roster_move(struct coordinator *c, const struct member *m, const char *domain);
/* With it goes that it was to be drained. */
void coordinator_roster_forget(struct coordinator *c, struct member *m, const char *why);
/* A place for a node that is new here. NULL: every place is a joined member's. */
struct member *coordinator_roster_add(struct coordinator *c, const char *node, const char *domain);
/* A node that is known by its name alone. NULL: every place is a joined member's. */
struct member *coordinator_roster_add_lost(struct coordinator *c, const char *node,
                                           const char *domain);
/* One to which copies belong is on the list of nodes for as long as they do; one that is to be
 * drained, until somebody says otherwise. */
void coordinator_roster_forget_old(struct coordinator *c);

#endif
