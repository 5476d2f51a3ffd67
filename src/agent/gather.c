/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's gathers: memory of its own, named by a dma-buf descriptor, is read into the slot that it
 * fills. One at a time; the slot is held until the read has ended, whatever becomes of the rank. */
#include "agent/gather.h"

#include <assert.h>
#include <string.h>

#include "agent/save.h"
#include "agent/update.h"
#include "agent/work.h"
#include "base/reason.h"

static void send_gathered(struct agent *a, const struct rank_session *session,
                          const struct message_gather *ask, enum ckpt_status status,
                          const char *reason)
{
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, session->link, MESSAGE_GATHERED);
    assert(out != NULL);
    struct message_gathered *gathered = &out->message.gathered;
    gathered->step = ask->step;
    gathered->slot = ask->slot;
    gathered->generation = ask->generation;
    gathered->number = ask->number;
    gathered->status = status;
    memcpy(gathered->reason, reason, strlen(reason) + 1);
}

static bool ranges_fit(const struct message_gather *ask, uint64_t slot_bytes)
{
    for (uint32_t i = 0; i < ask->range_count; i++) {
        const struct message_range *range = &ask->ranges[i];
        if (range->bytes == 0 || range->bytes > slot_bytes ||
            range->to > slot_bytes - range->bytes || range->from > INT64_MAX - range->bytes) {
            return false;
        }
    }
    return ask->range_count > 0;
}

/* Whether the ask is the one that was started last: answered already, or by its end. */
static bool is_repeat(struct agent *a, const struct rank_session *session,
                      const struct message_gather *ask)
{
    assert(session->filling != NONE);
    if (ask->number == 0 || ask->number != session->gather_number) {
        return false;
    }
    if (a->slots[session->filling].work == 0) {
        send_gathered(a, session, ask, session->gather_status, "");
    }
    return true;
}

void agent_gather_ask(struct agent *a, uint32_t index, const struct message_gather *ask)
{
    struct rank_session *session = &a->sessions[index];
    assert(session->open);
    char reason[CKPT_REASON_MAX + 1];
    if (!agent_save_names_filling(a, session, ask->step, ask->slot, ask->generation)) {
        reason_set(reason,
                   "slot %u of generation %llu is not being filled with step %llu by this process",
                   ask->slot, (unsigned long long)ask->generation, (unsigned long long)ask->step);
        send_gathered(a, session, ask, CKPT_ERR_STALE, reason);
        return;
    }
    if (is_repeat(a, session, ask)) {
        return;
    }
    const struct slot *s = &a->slots[session->filling];
    if (s->work != 0 || ask->number != session->gather_number + 1) {
        reason_set(reason, "gather %u of slot %u has not ended: one at a time, by rising numbers",
                   session->gather_number, ask->slot);
        send_gathered(a, session, ask, CKPT_ERR_BUSY, reason);
        return;
    }
    if (!ranges_fit(ask, s->bytes)) {
        reason_set(reason, "gather %u names no bytes, or bytes outside of slot %u, which has %llu",
                   ask->number, ask->slot, (unsigned long long)s->bytes);
        send_gathered(a, session, ask, CKPT_ERR_SIZE, reason);
        return;
    }
    bool started = agent_work_gather_start(a, session->filling, session->link);
    assert(started && "an event's update begins empty");
    (void)started;
    session->gather_number = ask->number;
}

void agent_gather_done(struct agent *a, uint32_t slot, enum ckpt_status status)
{
    assert(slot < a->config.slots);
    assert(a->slots[slot].work == 0);
    const struct slot *s = &a->slots[slot];
    if (s->state != SLOT_FILLING) {
        return; /* nobody waits for it any more */
    }
    for (uint32_t i = 0; i < a->session_count; i++) {
        struct rank_session *session = &a->sessions[i];
        if (!session->used || session->filling != slot) {
            continue;
        }
        const struct message_gather ask = {.step = s->shard.step,
                                           .slot = slot,
                                           .generation = s->generation,
                                           .number = session->gather_number};
        session->gather_status = status;
        send_gathered(a, session, &ask, status, "");
        return;
    }
    assert(false && "a slot is filled by a rank that is here");
}
