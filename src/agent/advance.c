/* SPDX-License-Identifier: Apache-2.0 */
/* One event in: to the file that it is for, and then what has become due. */
#include "agent/agent.h"

#include <assert.h>

#include "agent/adopt.h"
#include "agent/coordinator_link.h"
#include "agent/coordinator_message.h"
#include "agent/heartbeat.h"
#include "agent/invariant.h"
#include "agent/job.h"
#include "agent/load.h"
#include "agent/note.h"
#include "agent/peer.h"
#include "agent/persist.h"
#include "agent/prepare.h"
#include "agent/pull.h"
#include "agent/pull_answer.h"
#include "agent/pull_failure.h"
#include "agent/query.h"
#include "agent/rank_session.h"
#include "agent/report.h"
#include "agent/room_wait.h"
#include "agent/save_outcome.h"
#include "agent/scrub.h"
#include "agent/seat.h"
#include "agent/slot.h"
#include "agent/source.h"
#include "agent/update.h"
#include "agent/work.h"
#include "agent/work_done.h"

static void on_peer_message(struct agent *a, uint32_t link, const struct message *message)
{
    assert(!a->adopting);
    if (message->type == MESSAGE_OFFER || message->type == MESSAGE_OFFER_CLOSED) {
        agent_pull_message(a, link, message);
    } else if (message->type == MESSAGE_OFFER_ASK || message->type == MESSAGE_OFFER_DONE) {
        agent_source_message(a, link, message);
    } else {
        agent_note(a, EVENT_peer_protocol, NULL,
                   "a peer sent message %d, which is none of a peer's: connection closed",
                   (int)message->type);
        struct agent_outgoing *out = agent_update_message(a, AGENT_TO_PEER, link, MESSAGE_NONE);
        assert(out != NULL);
        out->close = true;
    }
}

static enum ckpt_status check_event(const struct agent *a, const struct agent_event *event)
{
    uint64_t last_ms = a->now_ms + a->stalled_ms;
    if (event->now_ms < last_ms || event->late_ms > event->now_ms - last_ms) {
        return CKPT_ERR_INVALID;
    }
    switch (event->type) {
    case AGENT_TICK:
        return CKPT_OK;
    case AGENT_ADOPT:
        return a->adopting && event->record != NULL ? CKPT_OK : CKPT_ERR_INVALID;
    case AGENT_ADOPT_END:
        return a->adopting ? CKPT_OK : CKPT_ERR_INVALID;
    case AGENT_COORDINATOR_MESSAGE:
    case AGENT_PEER_MESSAGE:
    case AGENT_RANK_MESSAGE:
        return !a->adopting && event->message != NULL ? CKPT_OK : CKPT_ERR_INVALID;
    case AGENT_COORDINATOR_UP:
    case AGENT_COORDINATOR_DOWN:
    case AGENT_PEER_LOOKUP:
    case AGENT_PEER_UP:
    case AGENT_PEER_DOWN:
    case AGENT_RANK_UP:
    case AGENT_RANK_DOWN:
    case AGENT_WORK_DONE:
    case AGENT_STOP:
        return !a->adopting ? CKPT_OK : CKPT_ERR_INVALID;
    }
    return CKPT_ERR_INVALID;
}

static void on_event(struct agent *a, const struct agent_event *event)
{
    assert(a->update != NULL);
    switch (event->type) {
    case AGENT_TICK:
        return;
    case AGENT_ADOPT:
        agent_adopt(a, event->record, event->corrupt);
        return;
    case AGENT_ADOPT_END:
        agent_adopt_end(a, event->epoch, &event->cluster);
        return;
    case AGENT_COORDINATOR_UP:
        agent_coordinator_up(a, event->address);
        return;
    case AGENT_COORDINATOR_DOWN:
        agent_coordinator_down(a);
        return;
    case AGENT_COORDINATOR_MESSAGE:
        agent_coordinator_message(a, event->message);
        return;
    case AGENT_PEER_MESSAGE:
        on_peer_message(a, event->link, event->message);
        return;
    case AGENT_PEER_LOOKUP:
        agent_peer_lookup(a, event->link);
        return;
    case AGENT_PEER_UP:
        agent_pull_peer_up(a, event->link);
        return;
    case AGENT_PEER_DOWN:
        agent_source_peer_down(a, event->link);
        agent_pull_peer_down(a, event->link);
        return;
    case AGENT_RANK_UP:
        agent_rank_up(a, event->link, event->uid);
        return;
    case AGENT_RANK_MESSAGE:
        agent_rank_message(a, event->link, event->message);
        return;
    case AGENT_RANK_DOWN:
        agent_rank_down(a, event->link);
        return;
    case AGENT_WORK_DONE:
        agent_work_done(a, event);
        return;
    case AGENT_STOP:
        agent_coordinator_stop(a);
        return;
    }
    assert(false && "the event was checked");
}

/* In this order: time runs out, what that frees is freed, what waited for room begins, records come
 * before what is said about them. */
static void pump(struct agent *a)
{
    assert(a->update != NULL);
    agent_source_expire(a);
    agent_slots_expire(a);
    agent_slots_free_pump(a);
    agent_coordinator_pump(a);
    agent_pulls_pump(a);
    agent_works_pump(a);
    agent_peers_pump(a);
    agent_slots_free_pump(a);
    agent_room_waits_pump(a);
    agent_prepares_pump(a);
    agent_scrubs_pump(a);
    agent_works_pump(a);
    agent_update_records_pump(a);
    agent_seats_pump(a);
    agent_saves_pump(a);
    agent_loads_pump(a);
    agent_queries_pump(a);
    agent_failures_pump(a);
    agent_persists_pump(a);
    agent_jobs_pump(a);
    agent_reports_pump(a);
    agent_room_pump(a);
    agent_slots_lower(a);
}

enum ckpt_status agent_advance(struct agent *a, const struct agent_event *event,
                               struct agent_update *update_out)
{
    assert(a != NULL);
    assert(event != NULL);
    assert(update_out != NULL);
    enum ckpt_status status = check_event(a, event);
    if (status == CKPT_OK && event->type == AGENT_ADOPT) {
        status = agent_adopt_check(a, event->record);
    }
    if (status != CKPT_OK) {
        return status;
    }
    if (a->started) {
        a->stalled_ms += event->late_ms; /* a silence in that time was this agent's own */
    } else {
        a->coordinator.away_ms = event->now_ms;
    }
    a->started = true;
    a->now_ms = event->now_ms - a->stalled_ms;
    a->rails = event->rails;
    a->rails_up = event->rails_up;
    agent_update_begin(a, update_out);
    on_event(a, event);
    pump(a);
    if (update_out->again) {
        update_out->deadline_ms = a->now_ms;
    }
    if (update_out->deadline_ms != AGENT_NEVER) {
        update_out->deadline_ms += a->stalled_ms;
    }
    agent_invariants(a);
    a->update = NULL;
    return CKPT_OK;
}
