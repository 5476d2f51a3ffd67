/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the coordinator answers, and since when it does not. */
#include "agent/silence.h"

#include <assert.h>

#include "base/reason.h"

/* And half a lease: who waits is told that nobody answers. */
#define SILENT_HEARTBEATS 3

bool agent_coordinator_answers(const struct agent *a, char reason_out[CKPT_REASON_MAX + 1])
{
    const struct coordinator_link *c = &a->coordinator;
    uint64_t since_ms = c->state == LINK_JOINED ? c->heard_ms : c->away_ms;
    uint64_t ms = a->now_ms > since_ms ? a->now_ms - since_ms : 0;
    bool is_silent = c->lease_ms > 0 && ms > c->lease_ms / 2 &&
                     ms > (uint64_t)SILENT_HEARTBEATS * c->heartbeat_ms;
    if (c->state == LINK_JOINED && !is_silent) {
        return true;
    }
    const char *unit = ms < 10000 ? "ms" : "s";
    unsigned long long count = ms < 10000 ? ms : ms / 1000;
    if (c->state != LINK_JOINED && c->refused != CKPT_OK) {
        reason_set(reason_out,
                   "the coordinator refuses node %s, for %llu %s now: %s; its log and "
                   "that of ckptd here say more",
                   a->config.node, count, unit, ckpt_status_text(c->refused));
    } else {
        reason_set(reason_out,
                   "no coordinator answers the agent of node %s, for %llu %s now: is "
                   "ckptctld running?",
                   a->config.node, count, unit);
    }
    return false;
}

/* Who is settled is answered rarely (member.c of the coordinator), and waits so much longer. */
uint64_t agent_coordinator_silent_at_ms(const struct agent *a)
{
    assert(a->coordinator.lease_ms > 0);
    const struct coordinator_link *c = &a->coordinator;
    return c->heard_ms + (uint64_t)c->lease_ms * (c->settled ? 2 : 1);
}
