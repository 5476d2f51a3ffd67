/* SPDX-License-Identifier: Apache-2.0 */
/* An agent says only what it did, and obeys only the newest coordinator: invariants 1, 10 and 11.
 *
 * Not verified: that an agent reports everything it holds. */
#include <inttypes.h>
#include <string.h>

#include "hosts.h"
#include "judge.h"

/* A coordinator's message of an epoch below the highest this agent took: nothing may come of it but
 * the answer that it is stale. */
static void judge_stale(struct sim *sim, uint32_t node, const struct agent_update *update)
{
    bool harmless = update->record_count == 0 && update->work_count == 0;
    for (uint32_t i = 0; i < update->message_count; i++) {
        enum message_type type = update->messages[i].message.type;
        harmless = harmless && (type == MESSAGE_STALE_EPOCH || type == MESSAGE_NONE);
    }
    if (!harmless) {
        sim_violation(sim, "node %u obeys a coordinator whose epoch is over", node);
    }
}

/* Whether the message's sender has said WELCOME to this life of the agent: nobody else is obeyed.
 * */
static bool is_heard_from(struct sim_node *node, const struct message *message)
{
    if (message->type == MESSAGE_WELCOME && message->welcome.status == CKPT_OK) {
        node->heard = message->incarnation;
    }
    return incarnation_equal(&node->heard, &message->incarnation);
}

void judge_agent_turn(struct sim *sim, uint32_t index, const struct agent_event *event,
                      const struct agent_update *update)
{
    struct sim_node *node = &sim->nodes[index];
    uint64_t epoch = agent_epoch(node->machine);
    if (event->type == AGENT_COORDINATOR_MESSAGE) {
        bool is_heard = is_heard_from(node, event->message);
        if (event->message->epoch < node->epoch_seen) {
            judge_stale(sim, index, update);
        } else if (is_heard && epoch < event->message->epoch &&
                   update->record_count + update->work_count + update->message_count > 0) {
            sim_violation(sim, "node %u obeys epoch %" PRIu64 " and does not remember it", index,
                          event->message->epoch);
        }
    }
    if (event->type == AGENT_ADOPT_END) {
        node->epoch_seen = node->epoch_stored;
    }
    if (epoch < node->epoch_seen) {
        sim_violation(sim, "node %u forgets that it saw epoch %" PRIu64, index, node->epoch_seen);
    }
    node->epoch_seen = epoch;
}

static void judge_report(struct sim *sim, uint32_t index, const struct message_shard_report *report)
{
    const struct sim_node *node = &sim->nodes[index];
    if (report->state != COPY_VERIFIED) {
        return;
    }
    for (uint32_t i = 0; i < sim->mix.slots; i++) {
        const struct sim_slot *slot = &node->slots[i];
        const struct shard_key *key = &slot->record.shard;
        if (slot->stored && slot->record.generation == report->generation &&
            key->rank == report->shard.rank && key->step == report->shard.step &&
            key->attempt == report->shard.attempt && key->run.uid == report->shard.run.uid &&
            strcmp(key->run.name, report->shard.run.name) == 0) {
            if (slot->part_generation == report->generation) {
                sim_violation(sim, "node %u reports slot %u as a copy, and it has a part", index,
                              i);
            }
            if (!judge_digested(slot, node->host.life, report->generation, &report->digest)) {
                sim_violation(sim, "node %u reports a digest of slot %u that it did not compute",
                              index, i);
            }
            return;
        }
    }
    sim_violation(sim, "node %u reports a copy of step %" PRIu64 " rank %u that it has not", index,
                  report->shard.step, report->shard.rank);
}

void judge_agent_message(struct sim *sim, uint32_t node, const struct message *message)
{
    if (message->type == MESSAGE_SHARD_REPORT) {
        judge_report(sim, node, &message->shard_report);
    }
}
