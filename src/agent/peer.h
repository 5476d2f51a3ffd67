/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that this agent makes to sources; kept a while for the next pull. */
#ifndef CKPT_AGENT_PEER_H
#define CKPT_AGENT_PEER_H

#include "agent/state.h"

/* A connection to address, there already or begun now, for one pull more. NONE: no room in the
 * update. */
uint32_t agent_peer_claim(struct agent *a, const char *address);
/* One pull less; suspect: it did not answer. */
void agent_peer_release(struct agent *a, uint32_t index, bool suspect);
/* NONE: it is none that this agent made. */
uint32_t agent_peer_by_link(const struct agent *a, uint32_t link);
/* The resolver is asked for its name. */
void agent_peer_lookup(struct agent *a, uint32_t link);
void agent_peers_pump(struct agent *a);

#endif
