/* SPDX-License-Identifier: Apache-2.0 */
/* What a process is told of its loads. */
#include "agent/load_answer.h"

#include <assert.h>
#include <string.h>

#include "agent/part.h"
#include "agent/slot.h"
#include "agent/update.h"

void agent_load_refuse(struct agent *a, uint32_t session, uint32_t load, enum ckpt_status status,
                       const char *reason)
{
    assert(session < a->session_count);
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, a->sessions[session].link, MESSAGE_LOADED);
    assert(out != NULL);
    assert(status != CKPT_OK);
    out->message.loaded.status = status;
    out->message.loaded.load = load;
    memcpy(out->message.loaded.reason, reason, strlen(reason) + 1);
}

static enum digest_kind kind_of(const struct slot *s)
{
    assert(s->state != SLOT_FREE);
    return s->digest_key == DIGEST_KEY_ID_BLAKE3 ? DIGEST_KIND_BLAKE3 : DIGEST_KIND_FINGERPRINT;
}

void agent_load_hand_out(struct agent *a, const struct load *load)
{
    assert(load->state == LOAD_LOANED);
    const struct slot *s = &a->slots[load->slot];
    assert(s->loans > 0);
    assert(s->generation == load->generation);
    assert(agent_slot_may_be_held(s));
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, a->sessions[load->session].link, MESSAGE_LOADED);
    assert(out != NULL);
    out->attach = ATTACH_READ_ONLY;
    out->attach_slot = load->slot;
    struct message_loaded *loaded = &out->message.loaded;
    loaded->status = CKPT_OK;
    loaded->load = load->load;
    loaded->attempt = s->shard.attempt;
    loaded->step = s->shard.step;
    loaded->rank = s->shard.rank;
    loaded->world = s->world;
    loaded->slot = load->slot;
    loaded->generation = s->generation;
    loaded->bytes = s->bytes;
    loaded->digest = s->digest;
    loaded->digest_kind = kind_of(s);
    loaded->whole = load->is_whole;
    loaded->segment_count = s->segment_count;
    loaded->part_bytes = agent_slot_part(a, s).bytes;
    if (agent_slot_is_range(s)) {
        loaded->digest = load->digest; /* that it was proven against: it has none of its own */
        loaded->digest_kind = DIGEST_KIND_FINGERPRINT;
        loaded->range_offset = s->chunk_first * a->config.chunk_bytes;
        loaded->shard_bytes = s->shard_bytes;
    }
}
