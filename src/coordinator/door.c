/* SPDX-License-Identifier: Apache-2.0 */
/* The door for every message: who may say it, and who hears it. */
#include "coordinator/door.h"

#include <assert.h>

#include "coordinator/fetch.h"
#include "coordinator/heartbeat.h"
#include "coordinator/job.h"
#include "coordinator/join.h"
#include "coordinator/load_ask.h"
#include "coordinator/member.h"
#include "coordinator/note.h"
#include "coordinator/persist.h"
#include "coordinator/pull_failed.h"
#include "coordinator/report.h"
#include "coordinator/room.h"
#include "coordinator/start.h"
#include "coordinator/table.h"
#include "coordinator/update.h"

static void agent_message(struct coordinator *c, struct member *m, const struct message *message)
{
    assert(m->state == MEMBER_JOINED);
    uint32_t index = (uint32_t)(m - c->members);
    switch ((int)message->type) {
    case MESSAGE_HEARTBEAT:
        coordinator_on_heartbeat(c, m, &message->heartbeat);
        break;
    case MESSAGE_SHARD_REPORT:
        coordinator_on_shard_report(c, index, &message->shard_report);
        break;
    case MESSAGE_PULL_FAILED:
        coordinator_on_pull_failed(c, index, &message->pull_failed);
        break;
    case MESSAGE_LOAD_ASK:
        coordinator_on_load_ask(c, index, &message->load_ask);
        break;
    case MESSAGE_CHECKPOINT_ASK:
        coordinator_on_checkpoint_ask(c, m->link, &message->checkpoint_ask);
        break;
    case MESSAGE_NEED:
        coordinator_on_need(c, index, &message->need);
        break;
    case MESSAGE_SEAT_ASK:
        coordinator_on_seat_ask(c, index, &message->seat_ask);
        break;
    case MESSAGE_JOB_REPORT:
        coordinator_on_job_report(c, m, &message->job);
        break;
    case MESSAGE_PERSIST_TOLD:
        coordinator_on_persist_told(c, index, &message->persist_told);
        break;
    case MESSAGE_GOODBYE:
        coordinator_member_stopped(c, m);
        break;
    case MESSAGE_STALE_EPOCH:
        break; /* an epoch above ours was handled at the door */
    default:
        coordinator_update_close(c, m->link);
        break;
    }
}

/* A higher epoch ends this rule, when it is the word of an agent that has joined and whose memory
 * is of this cluster: it has obeyed another coordinator of ours. Anyone else's says nothing. */
static void on_higher_epoch(struct coordinator *c, const struct member *m, uint64_t epoch)
{
    assert(epoch > c->epoch);
    assert(m->state != MEMBER_FREE);
    bool is_proof = m->is_of_cluster;
    coordinator_note(
        c, is_proof ? EVENT_stale_coordinator : EVENT_strange_epoch, about_node(m->node),
        "it knows of epoch %llu, this coordinator has %llu%s", (unsigned long long)epoch,
        (unsigned long long)c->epoch,
        is_proof ? "" : ": it has not shown that it is of this cluster, and is not believed");
    c->update->step_down = c->update->step_down || is_proof;
    if (!is_proof) {
        coordinator_update_close(c, m->link);
    }
}

void coordinator_member_message(struct coordinator *c, uint32_t link, const struct message *message)
{
    if (message->type == MESSAGE_JOIN) {
        coordinator_on_join(c, link, message);
    }
    struct member *m = coordinator_member_by_link(c, link);
    if (message->type == MESSAGE_JOIN) {
        if (m != NULL && message->epoch > c->epoch) {
            on_higher_epoch(c, m, message->epoch);
        }
        return;
    }
    if (m == NULL || m->state != MEMBER_JOINED ||
        !incarnation_equal(&m->incarnation, &message->incarnation)) {
        coordinator_update_close(c, link); /* it joins again */
        return;
    }
    if (message->epoch > c->epoch) {
        on_higher_epoch(c, m, message->epoch);
        return;
    }
    m->heard_ms = c->now_ms;
    m->lease_until_ms = c->now_ms + c->config.lease_ms;
    agent_message(c, m, message);
}
