/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that this agent makes to sources; kept a while for the next pull. */
#include "agent/peer.h"

#include <assert.h>
#include <string.h>

#include "agent/update.h"

#define IDLE_CLOSE_MS 30000
#define LOOKUP_MS_MAX 60000 /* a resolver that takes longer has no answer */

static bool close_peer(struct agent *a, struct peer *peer)
{
    assert(peer->used);
    assert(peer->pulls == 0);
    struct agent_work *work = agent_update_work(a, AGENT_WORK_PEER_CLOSE);
    if (work == NULL) {
        return false;
    }
    work->link = peer->link;
    memset(peer, 0, sizeof(*peer));
    return true;
}

/* There are more entries than pulls, so an unused or idle one is to be had. */
static struct peer *find_entry(struct agent *a)
{
    assert(a->peer_count > a->config.pulls_max);
    struct peer *idlest = NULL;
    for (uint32_t i = 0; i < a->peer_count; i++) {
        struct peer *peer = &a->peers[i];
        if (!peer->used) {
            return peer;
        }
        if (peer->pulls == 0 && (idlest == NULL || peer->idle_since_ms < idlest->idle_since_ms)) {
            idlest = peer;
        }
    }
    assert(idlest != NULL);
    return close_peer(a, idlest) ? idlest : NULL;
}

uint32_t agent_peer_claim(struct agent *a, const char *address)
{
    assert(address[0] != '\0');
    for (uint32_t i = 0; i < a->peer_count; i++) {
        struct peer *peer = &a->peers[i];
        if (peer->used && !peer->suspect && strcmp(peer->address, address) == 0) {
            peer->pulls++;
            return i;
        }
    }
    struct peer *peer = find_entry(a);
    struct agent_work *work = peer != NULL ? agent_update_work(a, AGENT_WORK_PEER_CONNECT) : NULL;
    if (work == NULL) {
        return NONE;
    }
    peer->used = true;
    peer->pulls = 1;
    a->link_last = (a->link_last + 1) & ~AGENT_LINK_MADE_HERE;
    peer->link = AGENT_LINK_MADE_HERE | a->link_last;
    memcpy(peer->address, address, strlen(address) + 1);
    work->link = peer->link;
    memcpy(work->address, address, strlen(address) + 1);
    return (uint32_t)(peer - a->peers);
}

void agent_peer_release(struct agent *a, uint32_t index, bool suspect)
{
    assert(index < a->peer_count);
    struct peer *peer = &a->peers[index];
    assert(peer->used);
    assert(peer->pulls > 0);
    peer->pulls--;
    peer->suspect = peer->suspect || suspect;
    peer->idle_since_ms = a->now_ms;
}

void agent_peer_lookup(struct agent *a, uint32_t link)
{
    uint32_t peer = agent_peer_by_link(a, link);
    if (peer != NONE) {
        a->peers[peer].lookup_until_ms = a->now_ms + LOOKUP_MS_MAX;
    }
}

uint32_t agent_peer_by_link(const struct agent *a, uint32_t link)
{
    for (uint32_t i = 0; i < a->peer_count; i++) {
        if (a->peers[i].used && a->peers[i].link == link) {
            return i;
        }
    }
    return NONE;
}

void agent_peers_pump(struct agent *a)
{
    assert(a->update != NULL);
    for (uint32_t i = 0; i < a->peer_count; i++) {
        struct peer *peer = &a->peers[i];
        if (!peer->used || peer->pulls > 0) {
            continue;
        }
        uint64_t at_ms = peer->suspect ? a->now_ms : peer->idle_since_ms + IDLE_CLOSE_MS;
        if (at_ms > a->now_ms) {
            agent_update_deadline(a, at_ms);
        } else if (!close_peer(a, peer)) {
            return;
        }
    }
}
