/* SPDX-License-Identifier: Apache-2.0 */
/* Messages in a line of the trace. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hosts.h"
#include "wire/message_codec.h"

static int shard(char *text, size_t size, const struct shard_key *key)
{
    return snprintf(text, size, " %u:%s/%u step %" PRIu64 " rank %u", key->run.uid, key->run.name,
                    key->attempt, key->step, key->rank);
}

/* Adds to text what tells this message from the next one of its type. */
static void add_body(const struct message *m, char *text, size_t size)
{
    int used = 0;
    switch ((int)m->type) {
    case MESSAGE_SHARD_REPORT:
        used = shard(text, size, &m->shard_report.shard);
        snprintf(text + used, size - (size_t)used,
                 " gen %" PRIu64 " state %d order %" PRIu64 "%s%s %02x%02x",
                 m->shard_report.generation, (int)m->shard_report.state, m->shard_report.order,
                 m->shard_report.owner ? " owner" : "", m->shard_report.cached ? " cached" : "",
                 m->shard_report.digest.bytes[0], m->shard_report.digest.bytes[1]);
        break;
    case MESSAGE_SHARD_ACK:
        used = shard(text, size, &m->shard_ack.shard);
        snprintf(text + used, size - (size_t)used, " gen %" PRIu64 " state %d keep %d status %d",
                 m->shard_ack.generation, (int)m->shard_ack.state, m->shard_ack.keep,
                 (int)m->shard_ack.status);
        break;
    case MESSAGE_PULL_ORDER:
        used = shard(text, size, &m->pull_order.shard);
        snprintf(text + used, size - (size_t)used,
                 " order %" PRIu64 " purpose %d from %s gen %" PRIu64, m->pull_order.order,
                 (int)m->pull_order.purpose, m->pull_order.source_node,
                 m->pull_order.source_generation);
        break;
    case MESSAGE_PULL_FAILED:
        used = shard(text, size, &m->pull_failed.shard);
        snprintf(text + used, size - (size_t)used, " order %" PRIu64 " status %d",
                 m->pull_failed.order, (int)m->pull_failed.status);
        break;
    case MESSAGE_VERIFY_ORDER:
        used = shard(text, size, &m->verify_order.shard);
        snprintf(text + used, size - (size_t)used, " order %" PRIu64 " gen %" PRIu64,
                 m->verify_order.order, m->verify_order.generation);
        break;
    case MESSAGE_LOAD_ASK:
        snprintf(text, size, " %u:%s/%u rank %u of %u load %u%s", m->load_ask.run.uid,
                 m->load_ask.run.name, m->load_ask.attempt, m->load_ask.rank, m->load_ask.world,
                 m->load_ask.load, m->load_ask.collective ? " collective" : "");
        break;
    case MESSAGE_LOAD_VERDICT:
        used = shard(text, size, &m->load_verdict.shard);
        snprintf(text + used, size - (size_t)used, " to %u load %u status %d%s",
                 m->load_verdict.asking_rank, m->load_verdict.load, (int)m->load_verdict.status,
                 m->load_verdict.collective ? " collective" : "");
        break;
    case MESSAGE_LOADED:
        snprintf(text, size, " load %u status %d attempt %u step %" PRIu64 " rank %u slot %u",
                 m->loaded.load, (int)m->loaded.status, m->loaded.attempt, m->loaded.step,
                 m->loaded.rank, m->loaded.slot);
        break;
    case MESSAGE_CHECKPOINT_STATE:
        snprintf(text, size, " %u:%s/%u step %" PRIu64 " state %d", m->checkpoint_state.run.uid,
                 m->checkpoint_state.run.name, m->checkpoint_state.attempt,
                 m->checkpoint_state.step, (int)m->checkpoint_state.state);
        break;
    case MESSAGE_SLOT_ASK:
        snprintf(text, size, " step %" PRIu64 " bytes %" PRIu64, m->slot_ask.step,
                 m->slot_ask.bytes);
        break;
    case MESSAGE_SLOT_GRANTED:
        snprintf(text, size, " step %" PRIu64 " slot %u gen %" PRIu64 " status %d",
                 m->slot_granted.step, m->slot_granted.slot, m->slot_granted.generation,
                 (int)m->slot_granted.status);
        break;
    default:
        text[0] = '\0';
        break;
    }
}

void trace_message(struct sim *sim, const char *who, uint32_t index, const char *what,
                   uint32_t link, const struct message *message)
{
    if (!sim->trace) {
        return;
    }
    char body[320];
    add_body(message, body, sizeof body);
    sim_trace(sim, "%s %u %s %s link %u epoch %" PRIu64 " seq %" PRIu64 "%s", who, index, what,
              message_type_name(message->type), link, message->epoch, message->sequence, body);
}
