/* SPDX-License-Identifier: Apache-2.0 */
/* Pulls that failed: told again when their order is repeated, rather than tried again. */
#include "agent/pull_failure.h"

#include <assert.h>
#include <string.h>

#include "agent/note.h"
#include "agent/update.h"

void agent_pull_fail_order(struct agent *a, const struct message_pull_order *order, uint64_t life,
                           enum ckpt_status status, const char *reason)
{
    assert(status != CKPT_OK);
    assert(a->failure_next < a->failure_count);
    struct failure *failure = &a->failures[a->failure_next];
    a->failure_next = (a->failure_next + 1) % a->failure_count;
    memset(failure, 0, sizeof(*failure));
    failure->used = true;
    failure->life = life;
    failure->failed.order = order->order;
    failure->failed.shard = order->shard;
    failure->failed.status = status;
    memcpy(failure->failed.reason, reason, strlen(reason) + 1);
    agent_note(a, EVENT_pull_failed, &order->shard, "%s", reason);
}

bool agent_pull_failed_before(struct agent *a, uint64_t order, uint64_t life)
{
    for (uint32_t i = 0; i < a->failure_count; i++) {
        struct failure *failure = &a->failures[i];
        if (failure->used && failure->failed.order == order && failure->life == life) {
            failure->sent = false;
            return true;
        }
    }
    return false;
}

/* To who ordered it: the numbers of another life of a coordinator are of other orders. */
void agent_failures_pump(struct agent *a)
{
    if (a->coordinator.state != LINK_JOINED) {
        return;
    }
    for (uint32_t i = 0; i < a->failure_count; i++) {
        struct failure *failure = &a->failures[i];
        if (!failure->used || failure->sent || failure->life != a->coordinator.life) {
            continue;
        }
        if (!agent_update_has_room(a)) {
            return;
        }
        struct agent_outgoing *out =
            agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_PULL_FAILED);
        assert(out != NULL);
        out->message.pull_failed = failure->failed;
        failure->sent = true;
    }
}
