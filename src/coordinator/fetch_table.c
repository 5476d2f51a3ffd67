/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for a fetch. Found by shard and member, which is how an ask repeats itself and how a
 * digest comes in; in the order of the last ask, so that those who no longer ask are met first.
 *
 * An entry outlives its answer for as long as its ask may be repeated: the answer is given again,
 * and nothing is digested twice for one reader. */
#include "coordinator/fetch_table.h"

#include <assert.h>
#include <string.h>

#include "coordinator/table.h"

#define MEMBER_SHARE 16    /* one member's part of the table at most */
#define MEMBER_FETCHES 64  /* which is not less than this */
#define FORGOTTEN_AFTER 10 /* intervals of repeating */

static uint32_t *bucket_of(struct coordinator *c, const struct shard *s, uint32_t member)
{
    assert(s->used);
    uint64_t hash = (s->weight ^ member) * UINT64_C(0x9e3779b97f4a7c15);
    return &c->fetch_buckets[hash >> 32 & c->fetch_mask];
}

static uint32_t fetch_index(const struct coordinator *c, const struct fetch *f)
{
    assert(f->member < c->member_count);
    return (uint32_t)(f - c->fetches);
}

static bool is_of(const struct coordinator *c, const struct fetch *f, const struct shard *s,
                  uint32_t member)
{
    assert(f->member < c->member_count);
    assert(s->used);
    return f->shard == shard_index(c, s) && f->weight == s->weight && f->member == member;
}

static struct fetch *next_of(struct coordinator *c, uint32_t i, const struct shard *s,
                             uint32_t member)
{
    assert(s->used);
    assert(member < c->member_count);
    while (i != NONE && !is_of(c, &c->fetches[i], s, member)) {
        i = c->fetches[i].next_in_bucket;
    }
    return i == NONE ? NULL : &c->fetches[i];
}

struct fetch *coordinator_fetch_first(struct coordinator *c, const struct shard *s, uint32_t member)
{
    assert(s->used);
    assert(member < c->member_count);
    return c->fetch_count == 0 ? NULL : next_of(c, *bucket_of(c, s, member), s, member);
}

struct fetch *coordinator_fetch_next(struct coordinator *c, const struct fetch *f,
                                     const struct shard *s)
{
    assert(f->member < c->member_count);
    assert(s->used);
    return next_of(c, f->next_in_bucket, s, f->member);
}

static void unlink_age(struct coordinator *c, const struct fetch *f)
{
    assert(f->member < c->member_count);
    struct fetch_ages *ages = &c->fetch_ages[f->told];
    *(f->older == NONE ? &ages->oldest : &c->fetches[f->older].newer) = f->newer;
    *(f->newer == NONE ? &ages->newest : &c->fetches[f->newer].older) = f->older;
}

static void link_newest(struct coordinator *c, struct fetch *f)
{
    assert(f->member < c->member_count);
    struct fetch_ages *ages = &c->fetch_ages[f->told];
    f->asked_ms = c->now_ms;
    f->older = ages->newest;
    f->newer = NONE;
    *(f->older == NONE ? &ages->oldest : &c->fetches[f->older].newer) = fetch_index(c, f);
    ages->newest = fetch_index(c, f);
}

void coordinator_fetch_set_told(struct coordinator *c, struct fetch *f, bool told)
{
    assert(f->member < c->member_count);
    struct member *m = &c->members[f->member];
    unlink_age(c, f);
    m->fetches += (uint32_t)f->told - (uint32_t)told;
    f->told = told;
    link_newest(c, f);
}

static void forget(struct coordinator *c, struct fetch *f)
{
    assert(f->member < c->member_count);
    uint32_t *at = f->bucket;
    while (*at != fetch_index(c, f)) {
        assert(*at != NONE);
        at = &c->fetches[*at].next_in_bucket;
    }
    *at = f->next_in_bucket;
    unlink_age(c, f);
    c->members[f->member].fetches -= !f->told;
    c->fetch_count--;
    index_set_add(&c->fetches_free, fetch_index(c, f));
    memset(f, 0, sizeof *f);
}

/* A place for one more who waits; NONE: there is none, for this member or for all. */
static uint32_t find_place(struct coordinator *c, uint32_t member)
{
    assert(member < c->member_count);
    uint32_t share = c->fetches_max / MEMBER_SHARE;
    if (c->members[member].fetches >= (share > MEMBER_FETCHES ? share : MEMBER_FETCHES)) {
        return NONE;
    }
    uint32_t place = coordinator_table_take(&c->fetches_free, &c->fetches_high, c->fetches_max);
    if (place == NONE && c->fetch_ages[true].oldest != NONE) {
        forget(c, &c->fetches[c->fetch_ages[true].oldest]);
        place = coordinator_table_take(&c->fetches_free, &c->fetches_high, c->fetches_max);
    }
    return place;
}

struct fetch *coordinator_fetch_remember(struct coordinator *c, const struct shard *s,
                                         uint32_t member, const struct message_load_ask *ask,
                                         bool *is_new_out)
{
    assert(s->used);
    assert(member < c->member_count);
    *is_new_out = false;
    for (struct fetch *f = coordinator_fetch_first(c, s, member); f != NULL;
         f = coordinator_fetch_next(c, f, s)) {
        if (f->ask.reader == ask->reader && f->ask.load == ask->load) {
            unlink_age(c, f);
            link_newest(c, f);
            return f;
        }
    }
    uint32_t place = find_place(c, member);
    if (place == NONE) {
        return NULL;
    }
    struct fetch *f = &c->fetches[place];
    uint32_t *bucket = bucket_of(c, s, member);
    *f = (struct fetch){.shard = shard_index(c, s),
                        .weight = s->weight,
                        .member = member,
                        .bucket = bucket,
                        .next_in_bucket = *bucket,
                        .ask = *ask};
    *bucket = place;
    link_newest(c, f);
    c->members[member].fetches++;
    c->fetch_count++;
    *is_new_out = true;
    return f;
}

void coordinator_fetches_tick(struct coordinator *c)
{
    for (size_t i = 0; i < 2; i++) {
        while (c->fetch_ages[i].oldest != NONE) {
            struct fetch *f = &c->fetches[c->fetch_ages[i].oldest];
            if (c->now_ms <= f->asked_ms + FORGOTTEN_AFTER * (uint64_t)c->config.resend_ms) {
                break;
            }
            forget(c, f);
        }
    }
}

void coordinator_fetches_forget_member(struct coordinator *c, uint32_t member)
{
    assert(member < c->member_count);
    for (size_t i = 0; i < 2; i++) {
        for (uint32_t at = c->fetch_ages[i].oldest; at != NONE;) {
            struct fetch *f = &c->fetches[at];
            at = f->newer;
            if (f->member == member) {
                forget(c, f);
            }
        }
    }
}
