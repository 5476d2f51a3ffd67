/* SPDX-License-Identifier: Apache-2.0 */
#include "describe.h"

#include <inttypes.h>
#include <stdio.h>

static int shard(char *text, size_t size, const struct shard_key *key)
{
    return snprintf(text, size, " %u:%s/%u step %" PRIu64 " rank %u", key->run.uid, key->run.name,
                    key->attempt, key->step, key->rank);
}

static const char *copy(enum copy_state state)
{
    static const char *const names[] = {"NONE", "SEALED", "ADOPTED", "VERIFIED"};
    return (unsigned)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

/* Between processes and their agent, and between agents. */
static void add_of_nodes(const struct message *m, char *text, size_t size)
{
    int used = 0;
    switch ((int)m->type) {
    case MESSAGE_SLOT_ASK:
        snprintf(text, size, " step %" PRIu64 " bytes %" PRIu64, m->slot_ask.step,
                 m->slot_ask.bytes);
        break;
    case MESSAGE_SLOT_GRANTED:
        snprintf(text, size, " step %" PRIu64 " slot %u gen %" PRIu64 " status %d",
                 m->slot_granted.step, m->slot_granted.slot, m->slot_granted.generation,
                 (int)m->slot_granted.status);
        break;
    case MESSAGE_PREPARE:
        snprintf(text, size,
                 " %u of %" PRIu64 " bytes after gen %" PRIu64 " gen %" PRIu64 " status %d",
                 m->prepare.number, m->prepare.bytes, m->prepare.after, m->prepare.generation,
                 (int)m->prepare.status);
        break;
    case MESSAGE_SEAL:
        snprintf(text, size, " step %" PRIu64 " slot %u gen %" PRIu64, m->seal.step, m->seal.slot,
                 m->seal.generation);
        break;
    case MESSAGE_SAVE_OUTCOME:
        snprintf(text, size, " step %" PRIu64 " status %d", m->save_outcome.step,
                 (int)m->save_outcome.status);
        break;
    case MESSAGE_OFFER_ASK:
        used = shard(text, size, &m->offer_ask.shard);
        snprintf(text + used, size - (size_t)used, " gen %" PRIu64, m->offer_ask.generation);
        break;
    case MESSAGE_OFFER:
        snprintf(text, size, " slot %u gen %" PRIu64 " bytes %" PRIu64 " status %d", m->offer.slot,
                 m->offer.generation, m->offer.bytes, (int)m->offer.status);
        break;
    case MESSAGE_OFFER_DONE:
        snprintf(text, size, " slot %u gen %" PRIu64, m->offer_done.slot, m->offer_done.generation);
        break;
    case MESSAGE_OFFER_CLOSED:
        snprintf(text, size, " status %d", (int)m->offer_closed.status);
        break;
    case MESSAGE_RELEASE:
        snprintf(text, size, " slot %u gen %" PRIu64, m->release.slot, m->release.generation);
        break;
    default:
        text[0] = '\0';
        break;
    }
}

static void add_of_tier(const struct message *m, char *text, size_t size)
{
    int used = 0;
    switch ((int)m->type) {
    case MESSAGE_PERSIST_ORDER:
        used = shard(text, size, &m->persist_order.shard);
        snprintf(text + used, size - (size_t)used, " order %" PRIu64 " gen %" PRIu64,
                 m->persist_order.order, m->persist_order.generation);
        break;
    case MESSAGE_MANIFEST_ORDER:
        snprintf(text, size, " %u:%s/%u step %" PRIu64 " order %" PRIu64, m->manifest_order.run.uid,
                 m->manifest_order.run.name, m->manifest_order.attempt, m->manifest_order.step,
                 m->manifest_order.order);
        break;
    case MESSAGE_PERSIST_TOLD:
        snprintf(text, size, " order %" PRIu64 " status %d", m->persist_told.order,
                 (int)m->persist_told.status);
        break;
    default:
        add_of_nodes(m, text, size);
        break;
    }
}

void describe_body(const struct message *m, char *text, size_t size)
{
    int used = 0;
    switch ((int)m->type) {
    case MESSAGE_SHARD_REPORT:
        used = shard(text, size, &m->shard_report.shard);
        snprintf(text + used, size - (size_t)used,
                 " gen %" PRIu64 " %s order %" PRIu64 "%s%s %02x%02x", m->shard_report.generation,
                 copy(m->shard_report.state), m->shard_report.order,
                 m->shard_report.owner ? " owner" : "", m->shard_report.cached ? " cached" : "",
                 m->shard_report.digest.bytes[0], m->shard_report.digest.bytes[1]);
        break;
    case MESSAGE_SHARD_ACK:
        used = shard(text, size, &m->shard_ack.shard);
        snprintf(text + used, size - (size_t)used, " gen %" PRIu64 " %s keep %d status %d",
                 m->shard_ack.generation, copy(m->shard_ack.state), m->shard_ack.keep,
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
    default:
        add_of_tier(m, text, size);
        break;
    }
}
