/* SPDX-License-Identifier: Apache-2.0 */
/* Which session a connection's number means.
 *
 * Peers' and ranks' links are the sessions' own numbers; a connection that the machine asked for
 * has the machine's number. */
#ifndef CKPT_CKPTD_CONNECTIONS_H
#define CKPT_CKPTD_CONNECTIONS_H

#include "ckptd/daemon.h"

#define CONNECTIONS_TIMEOUT_MS 3000 /* to connect in */

/* NULL: there is none any more. */
struct session *connections_find(struct daemon *d, enum agent_target target, uint32_t link);

/* The number by which the machine knows it. */
uint32_t connections_link(const struct daemon *d, const struct session *session);

/* Makes the machine's connection `link`; what becomes of it, the peer's events say. */
void connections_connect(struct daemon *d, uint32_t link, const char *address);
void connections_close(struct daemon *d, uint32_t link);

/* It is closed. */
void connections_forget(struct daemon *d, uint32_t link);
void connections_free(struct daemon *d); /* all */

/* Whether its peer's name had to be looked up. Of each such the machine is to hear, once, from the
 * lookup event: false when there is none left to tell of. */
bool connections_was_looked_up(const struct daemon *d, const struct session *session);
bool connections_take_lookup(struct daemon *d, uint32_t *link_out);

/* Whether it is to be said now that this event happens with this peer. */
bool connections_is_news(struct daemon *d, enum event_id event, const char *peer);

#endif
