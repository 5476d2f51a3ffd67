/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's ask for a slot that finds no room waits for some: the coordinator is told, and has room
 * made where somebody may give some. That takes a round trip. */
#include "agent/room_wait.h"

#include <assert.h>

#include "agent/grant.h"
#include "agent/part.h"
#include "agent/slot_claim.h"
#include "agent/update.h"

/* Half of what the rank waits at most: the answer must reach it. */
static uint32_t room_wait_ms(const struct agent *a, const struct message_slot_ask *ask)
{
    uint32_t half_ms = ask->wait_ms / 2;
    return half_ms > 0 && half_ms < a->config.room_wait_ms ? half_ms : a->config.room_wait_ms;
}

static bool can_be_made(const struct agent *a)
{
    assert(a->session_count > 0);
    return a->coordinator.state == LINK_JOINED &&
           (a->coordinator.features & WIRE_FEATURE_ROOM) != 0;
}

bool agent_room_wait_begin(struct agent *a, uint32_t index, const struct message_slot_ask *ask)
{
    assert(index < a->session_count);
    assert(a->sessions[index].open);
    bool comes = agent_slot_is_ahead(a); /* free when it has been renewed */
    if (!comes && (!can_be_made(a) || room_wait_ms(a, ask) == 0)) {
        return false;
    }
    a->sessions[index].room = (struct room_wait){.used = true,
                                                 .step = ask->step,
                                                 .bytes = ask->bytes,
                                                 .ends_ms = a->now_ms + room_wait_ms(a, ask),
                                                 .due_ms = a->now_ms};
    return true;
}

static bool send_need(struct agent *a, const struct rank_session *session)
{
    assert(session->room.used);
    assert(a->coordinator.state == LINK_JOINED);
    struct agent_outgoing *out = agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_NEED);
    if (out == NULL) {
        return false;
    }
    uint64_t needed = agent_slot_segments_needed(a, session->room.bytes);
    needed =
        needed > a->segments_free ? needed - a->segments_free : 1; /* a slot is what it wants */
    uint64_t part = session->asked.takes_parts ? agent_part_bytes(a, session->room.bytes) : 0;
    out->message.need.shard =
        (struct shard_key){session->run, session->attempt, session->room.step, session->rank};
    out->message.need.segments = (uint32_t)needed;
    out->message.need.bytes = part > 0 ? part : needed * a->config.segment_bytes;
    return true;
}

/* Who waits for room gets it as soon as there is some, in the order of the sessions. */
static void wait_on(struct agent *a, uint32_t index)
{
    struct rank_session *session = &a->sessions[index];
    assert(session->filling == NONE);
    struct room_wait *room = &session->room;
    char reason[CKPT_REASON_MAX + 1] = "";
    enum ckpt_status status = CKPT_ERR_FULL;
    bool has_room = agent_slot_has_room(a, room->bytes, !session->asked.takes_parts);
    bool ends = (room->ends_ms <= a->now_ms || !can_be_made(a)) && !agent_slot_is_ahead(a);
    if (has_room || ends) {
        struct slot_claim claim = agent_grant_claim_of(a, session, room->step, room->bytes);
        uint64_t step = room->step;
        room->used = false;
        status = agent_grant_check_step(a, session, step, reason);
        bool free_name = agent_grant_find_claimed(a, session, &claim) == NONE;
        if (status == CKPT_OK && free_name && agent_grant_slot(a, index, &claim, reason, &status)) {
            return;
        }
        agent_grant_refuse(
            a, session, step, free_name ? status : CKPT_ERR_STEP,
            free_name ? reason : "a copy of that step came here while the save waited for room");
        return;
    }
    if (room->due_ms <= a->now_ms && (!can_be_made(a) || send_need(a, session))) {
        room->due_ms = a->now_ms + a->config.resend_ms;
    }
    bool is_late = room->ends_ms <= a->now_ms; /* it waits for what is renewed ahead */
    agent_update_deadline(a,
                          room->due_ms < room->ends_ms || is_late ? room->due_ms : room->ends_ms);
}

void agent_room_waits_pump(struct agent *a)
{
    assert(a->update != NULL);
    for (uint32_t i = 0; i < a->session_count; i++) {
        if (a->sessions[i].used && a->sessions[i].room.used) {
            if (!agent_update_has_room(a)) {
                return;
            }
            wait_on(a, i);
        }
    }
}
