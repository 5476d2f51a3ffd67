/* SPDX-License-Identifier: Apache-2.0 */
/* What the copies of a run are proven with: BLAKE3, or the fingerprint under the run's key.
 *
 * A run that is new gets its key in the turn in which it comes into the table, and the record of it
 * is in that turn's update: records go first, so that nobody is told a key that a coordinator after
 * this one would not know. A run that is known from records goes on as these say, also where they
 * say nothing: it began before there were keys, with BLAKE3. What was committed names its key
 * itself, which is what counts as long as the commit stands (replay.c).
 *
 * While an agent is joined that proves with BLAKE3 alone, runs begin with that: it goes on as
 * before until its turn to be upgraded comes. Once some run has a key, such an agent may not join
 * (join.c).
 *
 * A digest under another key, of whichever reason, is unknown: its copy is one that is still to be
 * proven, and the answer to the report tells the key. */
#include "coordinator/digest_key.h"

#include <assert.h>
#include <string.h>

#include "base/planted_bug.h"
#include "coordinator/update.h"

bool coordinator_key_equal(const struct digest_key *a, const struct digest_key *b)
{
    bool is_keyed = a->kind == DIGEST_KIND_FINGERPRINT;
    return is_keyed == (b->kind == DIGEST_KIND_FINGERPRINT) &&
           (!is_keyed || memcmp(&a->secret, &b->secret, sizeof a->secret) == 0);
}

void coordinator_key_set(struct coordinator *c, struct run *run, const struct digest_key *key)
{
    assert(run->used);
    bool is_keyed = key->kind == DIGEST_KIND_FINGERPRINT;
    run->digest_key = is_keyed ? *key : (struct digest_key){.kind = DIGEST_KIND_BLAKE3};
    run->digest_key_id = digest_key_id(&run->digest_key);
    c->has_keys = c->has_keys || is_keyed;
}

static bool knows_fingerprints(const struct member *m)
{
    assert(m->state != MEMBER_FREE);
    return (m->features & WIRE_FEATURE_FINGERPRINT) != 0;
}

static bool all_know_fingerprints(const struct coordinator *c)
{
    assert(c->member_count <= c->config.agents_max);
    for (uint32_t i = 0; i < c->member_count; i++) {
        if (c->members[i].state == MEMBER_JOINED && !knows_fingerprints(&c->members[i])) {
            return false;
        }
    }
    return true;
}

void coordinator_key_begin(struct coordinator *c, struct run *run)
{
    assert(run->used && !c->replaying);
    if (c->config.digest != DIGEST_KIND_FINGERPRINT ||
        (!c->has_keys && !all_know_fingerprints(c))) {
        return;
    }
    assert(c->secret != NULL && !c->update->secret_used);
    const struct digest_key key = {.kind = DIGEST_KIND_FINGERPRINT, .secret = *c->secret};
    coordinator_key_set(c, run, &key);
    c->update->secret_used = true;
    if (PLANTED_BUG(KEY_BEFORE_DURABLE)) {
        return;
    }
    struct coordinator_record *record = coordinator_update_record(c, RECORD_KEY);
    record->run = run->key;
    record->key = key;
}

const struct digest_key *coordinator_key_told(const struct coordinator *c, const struct run *run)
{
    assert(run->used);
    return PLANTED_BUG(OTHER_RUNS_KEY) && c->runs[0].used ? &c->runs[0].digest_key
                                                          : &run->digest_key;
}

bool coordinator_key_is_of(const struct coordinator *c, const struct run *run,
                           const struct message_shard_report *r)
{
    assert(run->used && run >= c->runs);
    return r->digest_key == run->digest_key_id || PLANTED_BUG(OTHER_RUNS_KEY);
}
