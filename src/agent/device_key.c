/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device_key.h"

#include <assert.h>

#include "agent/note.h"
#include "agent/save_outcome.h"
#include "base/bytes.h"
#include "base/reason.h"

#define CONTEXT "ckptd 2026-12-01 16:00:00 key of one save for its device"

void agent_device_key(const struct agent *a, uint32_t slot, struct digest_key *key_out)
{
    assert(slot < a->config.slots);
    const struct slot *s = &a->slots[slot];
    struct digest_secret secret = a->config.device_secret;
    uint8_t generation[8];
    assert(s->owner);
    store_le64(generation, s->generation); /* of no other contents in this life */
    for (size_t i = 0; i < sizeof(generation); i++) {
        secret.bytes[i] ^= generation[i];
    }
    key_out->kind = DIGEST_KIND_FINGERPRINT;
    digest_derive(CONTEXT, secret.bytes, key_out->secret.bytes, sizeof(key_out->secret.bytes));
}

void agent_device_sealed(struct agent *a, uint32_t slot, const struct message_seal *seal)
{
    struct slot *s = &a->slots[slot];
    assert(s->state == SLOT_SEALED);
    s->device_said = seal->device_said;
    s->device_digest = seal->device_digest;
    if (seal->nans != 0 || seal->infinities != 0) {
        agent_note(a, EVENT_shard_not_finite, &s->shard,
                   "%llu NaN and %llu infinities in the GPU's tensors of the shard",
                   (unsigned long long)seal->nans, (unsigned long long)seal->infinities);
    }
    if (seal->device_reason[0] != '\0') {
        agent_note(a, EVENT_device_unproven, &s->shard, "%s", seal->device_reason);
    }
}

bool agent_device_agrees(struct agent *a, uint32_t slot, const struct digest *digest)
{
    struct slot *s = &a->slots[slot];
    char reason[CKPT_REASON_MAX + 1];
    if (s->state != SLOT_SEALED || !s->device_said) {
        return true;
    }
    s->device_said = false;
    if (digest_equal(&s->device_digest, digest)) {
        return true;
    }
    reason_set(reason,
               "the bytes of step %llu of rank %u that came to node %s are not those that the GPU "
               "had: save again; if it repeats, the node's GPU, PCIe link or memory is bad",
               (unsigned long long)s->shard.step, s->shard.rank, a->config.node);
    agent_note(a, EVENT_device_mismatch, &s->shard,
               "slot %u has other bytes than the GPU had before they were copied: the save is "
               "refused",
               slot);
    agent_save_end(a, &s->shard, AGENT_ONE_RANK, CKPT_ERR_DIGEST, reason);
    return false;
}
