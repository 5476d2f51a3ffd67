/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused on this node: counted, told to the coordinator, and said rarely, since a trainer
 * tries again with every step. */
#include "agent/refusal.h"

#include <assert.h>
#include <string.h>

#include "agent/note.h"

void agent_refused(struct agent *a, enum event_id event, const struct shard_key *shard,
                   enum ckpt_status status, const char *reason)
{
    assert(status != CKPT_OK);
    struct refusals *r = &a->refusals;
    r->count++;
    r->status = status;
    r->last_ms = a->now_ms;
    r->run = shard->run;
    memcpy(r->reason, reason, strlen(reason) + 1);
    uint64_t about = (uint64_t)event << 48 ^ (uint64_t)status << 32 ^ shard->run.uid;
    struct rare *rare =
        rare_find(r->said, AGENT_REFUSALS_SAID, rare_key(about, shard->run.name), a->now_ms);
    if (rare != NULL && rare_happens(rare, a->now_ms)) {
        agent_note(a, event, shard, "%.180s; %llu times in %llu s", reason,
                   (unsigned long long)rare->count,
                   (unsigned long long)((a->now_ms - rare->first_ms) / 1000));
    }
}

/* The words are said once; how many there were, with every heartbeat. */
void agent_refusals_fill(struct agent *a, struct message_heartbeat *heartbeat)
{
    assert(a->refusals.sent <= a->refusals.count);
    struct refusals *r = &a->refusals;
    heartbeat->refusals = r->count;
    if (r->count != r->sent) {
        heartbeat->refused_status = r->status;
        heartbeat->refused_ms_ago = a->now_ms - r->last_ms;
        heartbeat->refused_run = r->run;
        memcpy(heartbeat->refused_reason, r->reason, sizeof(r->reason));
        r->sent = r->count;
    }
}
