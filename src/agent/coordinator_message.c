/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/coordinator_message.h"

#include <assert.h>

#include "agent/checkpoint.h"
#include "agent/coordinator_link.h"
#include "agent/job.h"
#include "agent/let_go.h"
#include "agent/load.h"
#include "agent/note.h"
#include "agent/persist.h"
#include "agent/pull_order.h"
#include "agent/query.h"
#include "agent/report_ack.h"
#include "agent/seat.h"
#include "agent/verify_order.h"

void agent_coordinator_message(struct agent *a, const struct message *message)
{
    assert(!a->adopting);
    if (!agent_coordinator_rules(a, message)) {
        return;
    }
    a->coordinator.heard_ms = a->now_ms;
    enum message_type type = message->type;
    if (type == MESSAGE_WELCOME) {
        agent_coordinator_welcome(a, &message->welcome);
    } else if (a->coordinator.state != LINK_JOINED) {
        return;
    } else if (type == MESSAGE_LEASE) {
        a->coordinator.settled = message->lease.settled;
        a->coordinator.unsettled = message->lease.settled ? 0 : a->coordinator.unsettled + 1;
    } else if (type == MESSAGE_SHARD_ACK) {
        agent_report_ack(a, &message->shard_ack);
    } else if (type == MESSAGE_PULL_ORDER) {
        agent_pull_order(a, &message->pull_order);
    } else if (type == MESSAGE_VERIFY_ORDER) {
        agent_verify_order(a, &message->verify_order);
    } else if (type == MESSAGE_LET_GO) {
        agent_let_go(a, &message->let_go);
    } else if (type == MESSAGE_PERSIST_ORDER) {
        agent_persist_order(a, &message->persist_order);
    } else if (type == MESSAGE_MANIFEST_ORDER) {
        agent_manifest_order(a, &message->manifest_order);
    } else if (type == MESSAGE_LOAD_WAITS) {
        agent_load_waits(a, &message->load_waits);
    } else if (type == MESSAGE_CHECKPOINT_STATE) {
        agent_checkpoint_state(a, &message->checkpoint_state);
    } else if (type == MESSAGE_LOAD_VERDICT) {
        agent_load_verdict(a, &message->load_verdict);
    } else if (type == MESSAGE_CHECKPOINT_INFO) {
        agent_query_info(a, &message->checkpoint_info);
    } else if (type == MESSAGE_SEAT_TOLD) {
        agent_seat_told(a, &message->seat_told);
    } else if (type == MESSAGE_JOB_ACK) {
        agent_job_ack(a, &message->job_ack);
    } else {
        agent_note(a, EVENT_coordinator_protocol, NULL,
                   "the coordinator sent message %d, which is none of its", (int)type);
    }
}
