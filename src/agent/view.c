/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon and the judges may see of an agent. */
#include "agent/agent.h"

#include "agent/part.h"

bool agent_slot_view(const struct agent *a, uint32_t slot, struct agent_slot_view *view_out)
{
    if (slot >= a->config.slots) {
        return false;
    }
    const struct slot *s = &a->slots[slot];
    *view_out = (struct agent_slot_view){
        .state = s->state,
        .generation = s->generation,
        .shard = s->shard,
        .bytes = s->bytes,
        .owner = s->owner,
        .cached = s->cached,
        .doomed = s->doomed,
        .has_digest = s->has_digest,
        .digest = s->state == SLOT_VERIFIED ? s->found : s->digest,
        .digest_key = s->digest_key,
        .pins = s->offers + s->loans,
        .segment_count = s->segment_count,
        .segments = s->segments,
        .part = agent_slot_part(a, s),
    };
    return true;
}

uint32_t agent_segments_free(const struct agent *a)
{
    return a->segments_free;
}

bool agent_is_needed(const struct agent *a)
{
    for (uint32_t i = 0; i < CKPT_JOBS_PER_NODE_MAX; i++) {
        if (a->jobs[i].used && (a->jobs[i].verb == JOB_BEGIN || !a->jobs[i].acked)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < a->session_count; i++) {
        if (a->sessions[i].used) {
            return true;
        }
    }
    for (uint32_t i = 0; i < a->slots_high; i++) {
        if (a->slots[i].state != SLOT_FREE) {
            return true;
        }
    }
    return false;
}

enum ckpt_status agent_join_status(const struct agent *a)
{
    const struct coordinator_link *c = &a->coordinator;
    bool is_refused = c->refused != CKPT_OK;
    return c->state == LINK_JOINED ? CKPT_OK : is_refused ? c->refused : CKPT_ERR_NO_COORDINATOR;
}

uint64_t agent_epoch(const struct agent *a)
{
    return a->epoch;
}

struct nonce agent_cluster(const struct agent *a)
{
    return a->cluster;
}
