/* SPDX-License-Identifier: Apache-2.0 */
/* The works over a slot's memory: one at a time, and digests in the order of who waits. */
#include "agent/work.h"

#include <assert.h>

#include "agent/device_key.h"
#include "agent/digest_key.h"
#include "agent/update.h"

/* A work's number holds its slot, so that a completion finds it, or finds that it is stale. */
#define WORK_SLOT_BITS 16
_Static_assert(CKPT_ARENA_SEGMENTS_MAX <= 1 << WORK_SLOT_BITS, "a slot's number fits");

uint32_t agent_work_find(const struct agent *a, uint64_t work)
{
    uint32_t slot = (uint32_t)(work & ((1U << WORK_SLOT_BITS) - 1));
    bool is_under_way = work != 0 && slot < a->config.slots && a->slots[slot].work == work;
    return is_under_way ? slot : NONE;
}

static bool start(struct agent *a, uint32_t slot, enum agent_work_type type)
{
    struct slot *s = &a->slots[slot];
    assert(s->work == 0);
    assert(s->segment_count > 0);
    struct agent_work *work = agent_update_work(a, type);
    if (work == NULL) {
        return false;
    }
    work->work = (++a->work_last << WORK_SLOT_BITS) | slot;
    work->slot = slot;
    work->generation = s->generation;
    work->bytes = s->bytes;
    s->work = work->work;
    s->work_type = type;
    s->work_began_ms = a->now_ms;
    return true;
}

/* The slot's work, which was started last, digests under its run's key; where that is not known, or
 * its name is asked for, by BLAKE3. */
static void digest_under(struct agent *a, struct slot *s, bool names)
{
    assert(a->update->work_count > 0);
    struct agent_work *work = &a->update->works[a->update->work_count - 1];
    assert(work->work == s->work);
    if (names || !agent_digest_key_of(a, &s->shard.run, &work->key, &s->work_key)) {
        work->key = (struct digest_key){.kind = DIGEST_KIND_BLAKE3};
        s->work_key = DIGEST_KEY_ID_BLAKE3;
    }
}

bool agent_work_read_start(struct agent *a, uint32_t slot, uint32_t link)
{
    assert(a->slots[slot].state == SLOT_PULLING);
    if (!start(a, slot, AGENT_WORK_READ)) {
        return false;
    }
    struct agent_work *work = &a->update->works[a->update->work_count - 1];
    work->link = link;
    work->shard_bytes = a->slots[slot].shard_bytes;
    work->chunk_first = a->slots[slot].chunk_first;
    /* Its order told the key; where none did, the report's answer does, and it is proven again. */
    digest_under(a, &a->slots[slot], false);
    return true;
}

bool agent_work_gather_start(struct agent *a, uint32_t slot, uint32_t link)
{
    assert(a->slots[slot].state == SLOT_FILLING);
    if (!start(a, slot, AGENT_WORK_GATHER)) {
        return false;
    }
    a->update->works[a->update->work_count - 1].link = link;
    return true;
}

/* Of the run that was asked about last: neighbours are mostly of one. */
struct known_key {
    const struct run_key *run;
    bool is_known;
};

static bool is_key_known(const struct agent *a, const struct slot *slot, struct known_key *last)
{
    assert(slot->state != SLOT_FREE);
    if (last->run == NULL || !run_key_equal(last->run, &slot->shard.run)) {
        struct digest_key key;
        uint64_t id;
        last->run = &slot->shard.run;
        last->is_known = agent_digest_key_of(a, last->run, &key, &id);
    }
    return last->is_known;
}

/* Which slot's digest comes next: what a rank waits for, then what the coordinator asks for, then
 * what was found after a restart. */
static unsigned digest_rank(const struct agent *a, const struct slot *slot, struct known_key *last)
{
    if (slot->work != 0 || !(slot->digest_wanted || slot->name_pending)) {
        return 0;
    }
    bool is_to_be_proven = slot->digest_wanted && is_key_known(a, slot, last);
    if (!is_to_be_proven) {
        return slot->name_pending ? 2 : 0;
    }
    switch (slot->state) {
    case SLOT_SEALED:
        return 3;
    case SLOT_VERIFIED:
        return 2;
    case SLOT_ADOPTED:
        return 1;
    case SLOT_FREE:
    case SLOT_FILLING:
    case SLOT_PULLING:
    case SLOT_DIRTY:
        break;
    }
    assert(false && "a slot without complete bytes wants no digest");
    return 0;
}

static uint32_t digests_under_way(const struct agent *a)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->slots_high; i++) {
        count += a->slots[i].work != 0 && a->slots[i].work_type == AGENT_WORK_DIGEST;
    }
    assert(count <= AGENT_DIGESTS_MAX);
    return count;
}

static uint32_t find_next(const struct agent *a)
{
    uint32_t under_way = 0, adopted = 0, best = NONE;
    unsigned best_rank = 0;
    struct known_key last = {NULL, false};
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (s->work != 0 && s->work_type == AGENT_WORK_DIGEST) {
            under_way++;
            adopted += s->state == SLOT_ADOPTED;
        }
        unsigned rank = digest_rank(a, s, &last);
        if (rank > best_rank) {
            best_rank = rank;
            best = i;
        }
    }
    if (under_way >= AGENT_DIGESTS_MAX ||
        (best_rank == 1 && adopted >= AGENT_ADOPTED_DIGESTS_MAX)) {
        return NONE;
    }
    return best;
}

/* False: no room in the update. */
static bool digest_start(struct agent *a, uint32_t slot)
{
    struct slot *s = &a->slots[slot];
    struct known_key last = {NULL, false};
    assert(s->digest_wanted || s->name_pending);
    if (!start(a, slot, AGENT_WORK_DIGEST)) {
        return false;
    }
    s->work_names = !(s->digest_wanted && is_key_known(a, s, &last));
    digest_under(a, s, s->work_names);
    if (s->work_names) {
        s->name_pending = false;
    } else {
        if (s->state == SLOT_SEALED && s->device_said) {
            agent_device_key(a, slot, &a->update->works[a->update->work_count - 1].device_key);
        }
        s->digest_wanted = false;
        s->work_serves_verify = s->verify_pending;
    }
    return true;
}

uint64_t agent_work_prove_start(struct agent *a, uint32_t slot, uint64_t chunk_first,
                                uint64_t chunk_count)
{
    struct slot *s = &a->slots[slot];
    assert(s->state == SLOT_VERIFIED);
    assert(chunk_count > 0);
    if (s->work != 0 && s->work_scrubs && !s->scrub_cancelled) {
        s->cancel_wanted = true;
        a->update->again = true;
        return 0;
    }
    if (s->work != 0 || digests_under_way(a) >= AGENT_DIGESTS_MAX) {
        return 0; /* its end is a turn, in which this is looked at again */
    }
    if (!start(a, slot, AGENT_WORK_DIGEST)) {
        a->update->again = true;
        return 0;
    }
    struct agent_work *work = &a->update->works[a->update->work_count - 1];
    work->chunk_first = chunk_first;
    work->chunk_count = chunk_count;
    s->work_proves = true;
    digest_under(a, s, false);
    return s->work;
}

bool agent_work_scrub_start(struct agent *a, uint32_t slot, uint64_t patience_ms)
{
    struct slot *s = &a->slots[slot];
    assert(s->state == SLOT_VERIFIED);
    if (digests_under_way(a) >= AGENT_DIGESTS_MAX || !start(a, slot, AGENT_WORK_DIGEST)) {
        return false;
    }
    struct agent_work *work = &a->update->works[a->update->work_count - 1];
    work->scrubs = true;
    work->patience_ms = patience_ms;
    s->work_scrubs = true;
    s->work_names = false;
    s->work_serves_verify = false;
    digest_under(a, s, false);
    return true;
}

static bool cancel(struct agent *a, uint32_t slot)
{
    assert(a->slots[slot].work != 0);
    struct slot *s = &a->slots[slot];
    struct agent_work *work = agent_update_work(a, AGENT_WORK_CANCEL);
    if (work == NULL) {
        return false;
    }
    work->slot = slot;
    work->generation = s->generation;
    work->cancels = s->work;
    s->cancel_wanted = false;
    s->scrub_cancelled = s->work_scrubs;
    return true;
}

void agent_works_pump(struct agent *a)
{
    assert(a->update != NULL);
    for (uint32_t i = 0; i < a->slots_high; i++) {
        struct slot *s = &a->slots[i];
        if (s->cancel_wanted && !cancel(a, i)) {
            return;
        }
        if (s->renew_wanted) {
            assert(s->state == SLOT_DIRTY);
            assert(!s->doomed || s->prepares);
            if (s->record_pending || !start(a, i, AGENT_WORK_RENEW)) {
                a->update->again = true;
                return;
            }
            s->renew_wanted = false;
        }
    }
    for (uint32_t next = find_next(a); next != NONE; next = find_next(a)) {
        if (!digest_start(a, next)) {
            return;
        }
    }
}
