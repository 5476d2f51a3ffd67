/* SPDX-License-Identifier: Apache-2.0 */
/* Keys are durable before anybody is told, and what is committed or handed out is proven under its
 * run's own: invariants 1, 8 and 11.
 *
 * Reads the store's log and the messages as they leave. A digest of the simulator says under which
 * key it is (memory.c).
 *
 * Not verified: what an agent does with a key; that secrets are random. */
#include <inttypes.h>
#include <string.h>

#include "hosts.h"
#include "judge.h"

static bool is_durable(struct sim *sim, const struct digest_key *key)
{
    for (uint32_t i = 0; i < sim->store.count; i++) {
        const struct coordinator_record *r = &sim->store.records[i].record;
        if (r->type == RECORD_KEY && r->key.kind == key->kind &&
            memcmp(&r->key.secret, &key->secret, sizeof(key->secret)) == 0) {
            return true;
        }
    }
    return false;
}

void judge_key_told(struct sim *sim, const struct message *message)
{
    const struct digest_key *key = NULL;
    if (message->type == MESSAGE_SEAT_TOLD) {
        key = &message->seat_told.key;
    } else if (message->type == MESSAGE_SHARD_ACK) {
        key = &message->shard_ack.key;
    } else if (message->type == MESSAGE_PULL_ORDER) {
        key = &message->pull_order.key;
    } else if (message->type == MESSAGE_VERIFY_ORDER) {
        key = &message->verify_order.key;
    } else if (message->type == MESSAGE_PERSIST_ORDER) {
        key = &message->persist_order.key;
    }
    if (key && key->kind == DIGEST_KIND_FINGERPRINT && !is_durable(sim, key)) {
        sim_violation(sim, "a key is told that is not durable, in message type %d",
                      (int)message->type);
    }
}

/* The id of the run's key, by the store. */
static uint64_t key_on_record(struct sim *sim, const struct run_key *run)
{
    uint64_t id = DIGEST_KEY_ID_BLAKE3;
    for (uint32_t i = 0; i < sim->store.count; i++) {
        const struct coordinator_record *r = &sim->store.records[i].record;
        if (r->type == RECORD_KEY && run_key_equal(&r->run, run)) {
            id = digest_key_id(&r->key);
        }
    }
    return id;
}

bool judge_key_is_the_runs(struct sim *sim, const struct coordinator_record *record,
                           const struct digest *digest)
{
    uint64_t own = key_on_record(sim, &record->run);
    return digest_key_of(digest) == own && digest_key_id(&record->key) == own;
}

bool judge_key_proves(const struct sim_slot *slot, const struct digest *committed)
{
    uint64_t key = digest_key_of(committed);
    return digest_key_of(&slot->digest) == key || digest_key_of(&slot->digest_before) == key;
}
