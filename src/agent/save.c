/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's saves: slot asked for, sealed or abandoned. */
#include "agent/save.h"

#include <assert.h>

#include "agent/device_key.h"
#include "agent/grant.h"
#include "agent/load.h"
#include "agent/room_wait.h"
#include "agent/save_outcome.h"
#include "agent/slot.h"
#include "agent/slot_claim.h"
#include "agent/update.h"
#include "base/reason.h"

/* The ask while an earlier one has its slot. True: answered. */
static bool ask_again(struct agent *a, struct rank_session *session,
                      const struct message_slot_ask *ask)
{
    assert(session->filling != NONE);
    const struct slot *s = &a->slots[session->filling];
    bool same = s->shard.step == ask->step && s->bytes == ask->bytes && !s->doomed;
    if (s->state == SLOT_DIRTY) {
        if (same) {
            return true; /* it is being renewed: the grant comes by itself */
        }
        /* Never granted, so that nobody writes in it. */
        agent_slot_writer_gone(a, session->filling);
        session->filling = NONE;
        return false;
    }
    if (same) {
        agent_grant(a, session);
        return true;
    }
    char reason[CKPT_REASON_MAX + 1];
    reason_set(reason,
               "rank %u of run %s still fills slot %u with step %llu: seal or abandon it "
               "first",
               session->rank, session->run.name, session->filling,
               (unsigned long long)s->shard.step);
    agent_grant_refuse(a, session, ask->step, CKPT_ERR_BUSY, reason);
    return true;
}

void agent_save_ask(struct agent *a, uint32_t index, const struct message_slot_ask *ask)
{
    struct rank_session *session = &a->sessions[index];
    assert(session->open);
    char reason[CKPT_REASON_MAX + 1] = "";
    if (session->reader) {
        agent_grant_refuse(a, session, ask->step, CKPT_ERR_INVALID,
                           "a reader holds no rank and cannot save");
        return;
    }
    agent_load_give_up(a, index, 0);
    if (session->room.used && session->room.step == ask->step &&
        session->room.bytes == ask->bytes) {
        return; /* the answer comes by itself */
    }
    session->room.used = false;
    if (session->filling != NONE && ask_again(a, session, ask)) {
        return;
    }
    if (ask->bytes == 0) {
        agent_grant_refuse(a, session, ask->step, CKPT_ERR_SIZE,
                           "a shard has a header, so it has bytes");
        return;
    }
    enum ckpt_status status = agent_grant_check_open(a, reason);
    if (status == CKPT_OK) {
        status = agent_grant_check_step(a, session, ask->step, reason);
    }
    if (status != CKPT_OK) {
        agent_grant_refuse(a, session, ask->step, status, reason);
        return;
    }
    struct slot_claim claim = agent_grant_claim_of(a, session, ask->step, ask->bytes);
    uint32_t other = agent_grant_find_claimed(a, session, &claim);
    if (other != NONE) {
        reason_set(reason, "node %s holds a copy of step %llu of rank %u already (slot %u, %s)",
                   a->config.node, (unsigned long long)ask->step, session->rank, other,
                   agent_slot_state_text(a->slots[other].state));
        agent_grant_refuse(a, session, ask->step, CKPT_ERR_STEP, reason);
        return;
    }
    if (!agent_grant_slot(a, index, &claim, reason, &status)) {
        if (status != CKPT_ERR_FULL || !agent_room_wait_begin(a, index, ask)) {
            agent_grant_refuse(a, session, ask->step, status, reason);
        }
    }
}

void agent_save_renewed(struct agent *a, uint32_t slot, enum ckpt_status status)
{
    assert(a->slots[slot].work == 0);
    struct slot *s = &a->slots[slot];
    assert(s->state == SLOT_DIRTY);
    assert(s->owner);
    for (uint32_t i = 0; i < a->session_count; i++) {
        struct rank_session *session = &a->sessions[i];
        if (!session->used || session->filling != slot) {
            continue;
        }
        if (status == CKPT_OK) {
            agent_slot_move(s, SLOT_FILLING);
            agent_update_record(a, slot);
            agent_grant(a, session);
        } else {
            agent_grant_refuse(a, session, s->shard.step, CKPT_ERR_SYSTEM,
                               "the agent could not make its memory ready; see its log");
            session->filling = NONE;
            agent_slot_writer_gone(a, slot);
        }
        return;
    }
    assert(false && "a slot is renewed for a rank that is here, or doomed");
}

bool agent_save_names_filling(const struct agent *a, const struct rank_session *session,
                              uint64_t step, uint32_t slot, uint64_t generation)
{
    if (session->filling == NONE || session->filling != slot) {
        return false;
    }
    const struct slot *s = &a->slots[session->filling];
    return s->state == SLOT_FILLING && s->generation == generation && s->shard.step == step;
}

/* Why a slot that its rank seals is given up all the same; CKPT_OK: it is not. */
static enum ckpt_status check_seal(const struct agent *a, const struct slot *s,
                                   const struct rank_session *session, char *reason)
{
    const struct seat *seat = &a->seats[session->seat];
    assert(s->state == SLOT_FILLING);
    if (seat->refused) { /* since the slot was granted */
        reason_set(reason, "%.200s", seat->reason);
        return seat->status;
    }
    if (s->doomed) {
        return reason_refuse(reason, CKPT_ERR_ABORTED,
                             "step %llu was given up while rank %u still filled it",
                             (unsigned long long)s->shard.step, session->rank);
    }
    if (s->work != 0) {
        return reason_refuse(reason, CKPT_ERR_ABORTED,
                             "step %llu was sealed while gather %u of rank %u was under way",
                             (unsigned long long)s->shard.step, session->gather_number,
                             session->rank);
    }
    return CKPT_OK;
}

void agent_save_seal(struct agent *a, uint32_t index, const struct message_seal *seal)
{
    struct rank_session *session = &a->sessions[index];
    assert(session->open);
    if (!agent_save_names_filling(a, session, seal->step, seal->slot, seal->generation)) {
        const struct save *save = agent_save_find(session, seal->step);
        if (save != NULL && save->slot == seal->slot && save->generation == seal->generation) {
            return; /* a repeat */
        }
        char reason[CKPT_REASON_MAX + 1];
        reason_set(reason,
                   "slot %u of generation %llu is not being filled with step %llu by this "
                   "process: ask for a slot anew",
                   seal->slot, (unsigned long long)seal->generation,
                   (unsigned long long)seal->step);
        agent_save_outcome_send(a, session, seal->step,
                                seal->slot < a->config.slots ? CKPT_ERR_STALE : CKPT_ERR_INVALID,
                                reason);
        return;
    }
    uint32_t slot = session->filling;
    struct slot *s = &a->slots[slot];
    session->filling = NONE;
    struct save *save = agent_save_add(session, seal->step, slot, seal->generation);
    char reason[CKPT_REASON_MAX + 1] = "";
    enum ckpt_status status = check_seal(a, s, session, reason);
    if (status != CKPT_OK) {
        agent_save_ends(save, status, reason);
        agent_slot_writer_gone(a, slot);
        return;
    }
    agent_slot_move(s, SLOT_SEALED);
    s->replica_said = seal->replica_said && seal->replica_leader <= session->rank;
    s->replica_leader = seal->replica_leader;
    s->replica_part = seal->replica_part;
    s->replica_value = seal->replica_value;
    agent_device_sealed(a, slot, seal);
    s->digest_wanted = true;
    agent_update_record(a, slot);
    agent_report_wanted(a, slot);
}

void agent_save_abandon(struct agent *a, uint32_t index, const struct message_abandon *abandon)
{
    struct rank_session *session = &a->sessions[index];
    assert(session->open);
    if (!agent_save_names_filling(a, session, abandon->step, abandon->slot, abandon->generation)) {
        return; /* a repeat, or not this rank's: there is nothing to give up */
    }
    agent_slot_writer_gone(a, session->filling);
    session->filling = NONE;
}
