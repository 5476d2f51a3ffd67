/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a shard that is held here, proven without the rest of it.
 *
 * The values of the chunks were kept when the whole was proven. Those that the range touches are
 * computed anew, from the bytes as they lie in the slot now; with the kept values of the others
 * they must fold into the digest that the commit has, under the run's key. That shows both that the
 * kept values are the commit's and that these bytes have them. Of what else lies in the slot it
 * says nothing, and whoever reads more asks for more. */
#include "agent/range.h"

#include <assert.h>

#include "agent/digest_key.h"
#include "agent/slot.h"
#include "agent/work.h"

bool agent_range_is_asked(const struct load *load)
{
    assert(load->state != LOAD_UNUSED);
    assert(!load->collective || load->range_bytes == 0);
    return load->range_bytes > 0 && !load->is_whole;
}

static bool lies_within(const struct load *load, uint64_t bytes)
{
    assert(load->range_bytes > 0);
    return load->range_offset < bytes && load->range_bytes <= bytes - load->range_offset;
}

uint32_t agent_range_slot(struct agent *a, const struct load *load,
                          const struct message_load_verdict *verdict)
{
    assert(agent_range_is_asked(load));
    if (verdict->key.kind != DIGEST_KIND_FINGERPRINT ||
        !incarnation_equal(&verdict->source_incarnation, &a->incarnation)) {
        return NONE;
    }
    agent_digest_key_told(a, &verdict->shard.run, &verdict->key);
    uint32_t slot = agent_slot_live(a, &verdict->shard);
    if (slot == NONE) {
        return NONE;
    }
    const struct slot *s = &a->slots[slot];
    bool is_meant = s->generation == verdict->source_generation && s->bytes == verdict->bytes &&
                    s->digest_key == digest_key_id(&verdict->key);
    return is_meant && agent_slot_may_be_loaned(s) && lies_within(load, s->bytes) ? slot : NONE;
}

bool agent_range_prove(struct agent *a, struct load *load)
{
    assert(load->state == LOAD_PROVING);
    const struct slot *s = &a->slots[load->slot];
    assert(s->generation == load->generation);
    if (load->work != 0) {
        return true;
    }
    if (!agent_slot_may_be_loaned(s)) {
        return false;
    }
    uint64_t first = load->range_offset / CKPT_CHUNK_BYTES;
    uint64_t last = (load->range_offset + load->range_bytes - 1) / CKPT_CHUNK_BYTES;
    load->work = agent_work_prove_start(a, load->slot, first, last - first + 1);
    return true;
}
