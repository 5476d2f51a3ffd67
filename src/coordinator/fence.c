/* SPDX-License-Identifier: Apache-2.0 */
/* What outlives a run that had to make room in the table: its newest attempt, up to where it was
 * given up, and what its copies are proven with. Without that a process of an earlier start could
 * save again under its name.
 *
 * On record it is for ever; here are those that were put out last. A run is known by its owner and
 * a hash of its name: two of one owner's that share one have the higher attempt of both, and the
 * next start of either takes the one after. */
#include "coordinator/fence.h"

#include <assert.h>

#include "coordinator/digest_key.h"

/* FNV-1a (Fowler, Noll, Vo). */
static uint64_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (const char *p = name; *p != '\0'; p++) {
        hash = (hash ^ (uint8_t)*p) * UINT64_C(1099511628211);
    }
    return hash;
}

static uint32_t *bucket_of(const struct coordinator *c, uint64_t name, uint32_t uid)
{
    return &c->fence_buckets[(uint32_t)(name ^ uid) & c->run_mask];
}

const struct fence *coordinator_fence_find(const struct coordinator *c, const struct run_key *key)
{
    uint64_t name = hash_name(key->name);
    uint32_t i = *bucket_of(c, name, key->uid);
    while (i != NONE && (c->fences[i].name != name || c->fences[i].uid != key->uid)) {
        i = c->fences[i].next_in_bucket;
    }
    return i == NONE ? NULL : &c->fences[i];
}

static void put_out(struct coordinator *c, const struct fence *fence)
{
    uint32_t *at = bucket_of(c, fence->name, fence->uid);
    while (*at != (uint32_t)(fence - c->fences)) {
        assert(*at != NONE);
        at = &c->fences[*at].next_in_bucket;
    }
    *at = fence->next_in_bucket;
}

/* The place for one more of the user's: his own oldest one, once he has more than his share. */
static struct fence *fence_place(struct coordinator *c, uint32_t uid)
{
    assert(c->fences_high <= c->fences_max);
    if (c->fences_high < c->fences_max) {
        return &c->fences[c->fences_high++];
    }
    uint32_t own = 0;
    struct fence *oldest = &c->fences[0];
    struct fence *oldest_own = NULL;
    for (uint32_t i = 0; i < c->fences_max; i++) {
        struct fence *fence = &c->fences[i];
        oldest = fence->number < oldest->number ? fence : oldest;
        if (fence->uid == uid) {
            own++;
            bool is_older = oldest_own == NULL || fence->number < oldest_own->number;
            oldest_own = is_older ? fence : oldest_own;
        }
    }
    if (oldest_own != NULL && own >= c->fences_max / 4) {
        oldest = oldest_own;
    }
    put_out(c, oldest);
    return oldest;
}

void coordinator_fence_keep(struct coordinator *c, const struct run *run)
{
    assert(run->used);
    if (run->attempt == 0 && run->digest_key.kind != DIGEST_KIND_FINGERPRINT) {
        return;
    }
    const struct fence *known = coordinator_fence_find(c, &run->key);
    uint64_t name = hash_name(run->key.name);
    struct fence *fence =
        known != NULL ? &c->fences[known - c->fences] : fence_place(c, run->key.uid);
    uint32_t *bucket = bucket_of(c, name, run->key.uid);
    uint32_t next = known != NULL ? known->next_in_bucket : *bucket;
    if (known == NULL) {
        *bucket = (uint32_t)(fence - c->fences);
    }
    *fence = (struct fence){.number = ++c->fence_last,
                            .name = name,
                            .uid = run->key.uid,
                            .attempt = run->attempt,
                            .start = run->start_nonce,
                            .withdrawn_attempt = run->withdrawn_attempt,
                            .withdrawn_step = run->withdrawn_step,
                            .key = run->digest_key,
                            .next_in_bucket = next};
}

bool coordinator_fence_recall(struct coordinator *c, struct run *run)
{
    assert(run->used);
    const struct fence *fence = coordinator_fence_find(c, &run->key);
    if (fence == NULL) {
        return false;
    }
    run->attempt = fence->attempt;
    run->start_nonce = fence->start;
    run->withdrawn_attempt = fence->withdrawn_attempt;
    run->withdrawn_step = fence->withdrawn_step;
    coordinator_key_set(c, run, &fence->key);
    return true;
}
