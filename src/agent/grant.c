/* SPDX-License-Identifier: Apache-2.0 */
/* The answers to a rank's ask for a slot. */
#include "agent/grant.h"

#include <assert.h>
#include <string.h>

#include "agent/device_key.h"
#include "agent/part.h"
#include "agent/refusal.h"
#include "agent/run.h"
#include "agent/seat.h"
#include "agent/slot.h"
#include "agent/slot_claim.h"
#include "agent/update.h"
#include "base/reason.h"

void agent_grant_refuse(struct agent *a, const struct rank_session *session, uint64_t step,
                        enum ckpt_status status, const char *reason)
{
    assert(session->open);
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, session->link, MESSAGE_SLOT_GRANTED);
    assert(out != NULL);
    assert(status != CKPT_OK);
    struct message_slot_granted *granted = &out->message.slot_granted;
    granted->status = status;
    granted->step = step;
    memcpy(granted->reason, reason, strlen(reason) + 1);
    struct shard_key shard = {session->run, session->attempt, step, session->rank};
    agent_refused(a, EVENT_save_refused, &shard, status, reason);
}

void agent_grant(struct agent *a, const struct rank_session *session)
{
    assert(session->open);
    assert(session->filling != NONE);
    const struct slot *s = &a->slots[session->filling];
    assert(s->state == SLOT_FILLING);
    assert(!s->record_pending);
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, session->link, MESSAGE_SLOT_GRANTED);
    assert(out != NULL);
    out->attach = ATTACH_WRITABLE;
    out->attach_slot = session->filling;
    struct message_slot_granted *granted = &out->message.slot_granted;
    granted->status = CKPT_OK;
    granted->step = s->shard.step;
    granted->slot = session->filling;
    granted->generation = s->generation;
    granted->bytes = s->bytes;
    granted->segment_count = s->segment_count;
    granted->segments = s->segments;
    granted->part_bytes = agent_slot_part(a, s).bytes;
    agent_device_key(a, session->filling, &granted->device_key);
}

enum ckpt_status agent_grant_check_open(const struct agent *a, char *reason)
{
    if (a->config.closed == AGENT_OPEN) {
        return CKPT_OK;
    }
    return reason_refuse(reason, CKPT_ERR_CONFIG,
                         "the agent of node %s takes no new shards: RDMA devices are there and "
                         "cannot be used, its log says why; mend them, or set allow_slow",
                         a->config.node);
}

enum ckpt_status agent_grant_check_step(struct agent *a, const struct rank_session *session,
                                        uint64_t step, char *reason)
{
    assert(session->open);
    assert(!session->reader);
    assert(session->seat < a->seat_count);
    const struct run *run = agent_run_find(a, &session->run);
    if (step == CKPT_STEP_LATEST) {
        return reason_refuse(reason, CKPT_ERR_STEP,
                             "%llu names the newest step and cannot be saved",
                             (unsigned long long)step);
    }
    if (run != NULL && session->attempt != 0 && session->attempt < run->attempt) {
        return reason_refuse(
            reason, CKPT_ERR_ATTEMPT,
            "attempt %u of run %s has begun: this process is of attempt %u and can "
            "save no more",
            run->attempt, session->run.name, session->attempt);
    }
    const struct seat *seat = &a->seats[session->seat];
    if (seat->refused) {
        reason_set(reason, "%.200s", seat->reason);
        return seat->status;
    }
    if (session->has_step && step <= session->last_step) {
        return reason_refuse(reason, CKPT_ERR_STEP,
                             "step %llu is not above %llu, the last that rank %u of run %s saved",
                             (unsigned long long)step, (unsigned long long)session->last_step,
                             session->rank, session->run.name);
    }
    if (run != NULL && run->has_latest && step <= run->latest) {
        return reason_refuse(reason, CKPT_ERR_STEP,
                             "step %llu is not above %llu, the newest consistent step of run %s",
                             (unsigned long long)step, (unsigned long long)run->latest,
                             session->run.name);
    }
    return CKPT_OK;
}

struct slot_claim agent_grant_claim_of(const struct agent *a, const struct rank_session *session,
                                       uint64_t step, uint64_t bytes)
{
    assert(!session->reader);
    assert(session->copies > 0);
    return (struct slot_claim){
        .shard = {session->run, session->attempt, step, session->rank},
        .seat = &a->seats[session->seat],
        .world = session->world,
        .copies = session->copies,
        .bytes = bytes,
        .owner = true,
        .whole = !session->asked.takes_parts,
    };
}

uint32_t agent_grant_find_claimed(const struct agent *a, const struct rank_session *session,
                                  const struct slot_claim *claim)
{
    assert(claim->owner);
    return session->attempt != 0 ? agent_slot_live(a, &claim->shard)
                                 : agent_seat_staged(a, session->seat, claim->shard.step);
}

bool agent_grant_slot(struct agent *a, uint32_t index, const struct slot_claim *claim, char *reason,
                      enum ckpt_status *status_out)
{
    assert(claim->owner);
    struct rank_session *session = &a->sessions[index];
    assert(session->filling == NONE);
    uint32_t slot;
    *status_out = agent_slot_claim(a, claim, SLOT_FILLING, &slot, reason);
    if (*status_out != CKPT_OK) {
        return false;
    }
    session->filling = slot;
    session->gather_number = 0;
    if (a->slots[slot].state == SLOT_FILLING) {
        agent_grant(a, session);
    }
    return true;
}
