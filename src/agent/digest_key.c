/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/digest_key.h"

#include <assert.h>
#include <string.h>

#include "agent/identity.h"
#include "agent/note.h"
#include "agent/run.h"
#include "agent/slot.h"

bool agent_digest_key_of(const struct agent *a, const struct run_key *run,
                         struct digest_key *key_out, uint64_t *id_out)
{
    assert(a->run_count > 0);
    if (!a->keys_are_told) {
        *key_out = (struct digest_key){.kind = DIGEST_KIND_BLAKE3};
        *id_out = DIGEST_KEY_ID_BLAKE3;
        return a->coordinator.life > 0;
    }
    for (uint32_t i = 0; i < a->run_count; i++) {
        const struct run *known = &a->runs[i];
        if (known->used && run_key_equal(&known->key, run)) {
            *key_out = known->digest_key;
            *id_out = known->digest_key_id;
            return known->digest_key.kind != DIGEST_KIND_UNKNOWN;
        }
    }
    return false;
}

bool agent_digest_key_is_other(const struct agent *a, const struct run_key *run, uint64_t id)
{
    struct digest_key key;
    uint64_t own;
    assert(a->runs != NULL);
    return agent_digest_key_of(a, run, &key, &own) && own != id;
}

/* What its digest was to answer, the next one does. */
static void unprove(struct agent *a, uint32_t slot)
{
    struct slot *s = &a->slots[slot];
    assert(s->state == SLOT_VERIFIED);
    assert(!s->doomed);
    if (s->cached || agent_slot_is_bad(s)) {
        agent_slot_doom(a, slot); /* a reader's copy is had again; one that changed is no copy */
        return;
    }
    if (s->report_order != 0) {
        s->verify_pending = true;
        s->report_order = 0;
    }
    s->work_serves_verify = false;
    agent_slot_move(s, SLOT_ADOPTED);
    s->digest_wanted = true;
    s->record_pending = true;
    agent_report_wanted(a, slot);
}

bool agent_digest_key_check(struct agent *a, uint32_t slot)
{
    assert(slot < a->config.slots);
    const struct slot *s = &a->slots[slot];
    bool is_other = s->state == SLOT_VERIFIED && !s->doomed &&
                    agent_digest_key_is_other(a, &s->shard.run, s->digest_key);
    if (is_other) {
        unprove(a, slot);
    }
    return is_other;
}

static void check_all(struct agent *a)
{
    uint32_t count = 0, last = 0;
    for (uint32_t i = 0; i < a->slots_high; i++) {
        if (agent_digest_key_check(a, i)) {
            count++;
            last = i;
        }
    }
    if (count > 0) {
        agent_note(a, EVENT_copies_unproven, &a->slots[last].shard,
                   "%u copies here were proven under another key than their run has now: they are "
                   "proven again",
                   count);
    }
}

static bool is_same(const struct digest_key *a, const struct digest_key *b)
{
    return a->kind == b->kind &&
           (a->kind != DIGEST_KIND_FINGERPRINT ||
            memcmp(a->secret.bytes, b->secret.bytes, sizeof(a->secret.bytes)) == 0);
}

void agent_digest_key_told(struct agent *a, const struct run_key *run, const struct digest_key *key)
{
    assert(agent_run_is_valid(run));
    if (key->kind == DIGEST_KIND_UNKNOWN || !a->keys_are_told) {
        return;
    }
    struct run *known = agent_run_make(a, run);
    if (is_same(&known->digest_key, key)) {
        return;
    }
    known->digest_key = *key;
    known->digest_key_id = digest_key_id(key);
    check_all(a);
}

void agent_digest_key_tells(struct agent *a, bool tells)
{
    assert(a->coordinator.life > 0);
    if (a->keys_are_told == tells) {
        return;
    }
    a->keys_are_told = tells;
    for (uint32_t i = 0; i < a->run_count; i++) {
        memset(&a->runs[i].digest_key, 0, sizeof(a->runs[i].digest_key));
        a->runs[i].digest_key_id = 0;
    }
    check_all(a);
}
