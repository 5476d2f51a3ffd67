/* SPDX-License-Identifier: Apache-2.0 */
/* Which checkpoints go to the tier: of each stretch of `every` steps the first that is consistent
 * and newer than what is there, or the newest when the last one went there long ago. The rule asks
 * for nothing but what is on record, so that a coordinator that starts anew goes on by it.
 *
 * One of a run goes at a time. Those that became consistent meanwhile, and were due, are passed
 * over but for the newest: a tier that is slower than training gets fewer, and none of them
 * late. */
#include "coordinator/persist_rule.h"

#include <assert.h>

static bool is_old(const struct coordinator *c, const struct run *run)
{
    assert(run->used);
    uint64_t since_ms = run->persisted_ms > c->started_ms ? run->persisted_ms : c->started_ms;
    return c->config.persist_max_age_ms > 0 && c->now_ms >= since_ms + c->config.persist_max_age_ms;
}

static bool is_due(const struct coordinator *c, const struct run *run, const struct checkpoint *k)
{
    assert(k->used);
    uint64_t every = c->config.persist_every;
    if (every == 0 && c->config.persist_max_age_ms == 0) {
        return false;
    }
    bool is_first = !run->has_persisted;
    bool is_of_next_stretch = every > 0 && (k->attempt != run->persisted_attempt ||
                                            k->step / every != run->persisted_step / every);
    return is_first || is_of_next_stretch || is_old(c, run);
}

struct checkpoint *coordinator_persist_choose(struct coordinator *c, const struct run *run)
{
    assert(run->used);
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        struct checkpoint *k = &c->checkpoints[i];
        if (k->persist == PERSIST_DONE) {
            return NULL; /* what is older was passed over */
        }
        if (k->state == CHECKPOINT_CONSISTENT && is_due(c, run, k)) {
            return c->now_ms >= k->persist_due_ms ? k : NULL;
        }
    }
    return NULL;
}

bool coordinator_persist_may_ask(const struct coordinator *c, const struct member *m)
{
    return m->state == MEMBER_JOINED && m->connected && m->has_tier &&
           m->persists < PERSISTS_PER_AGENT && c->now_ms >= m->tier_due_ms;
}

struct member *coordinator_persist_member(struct coordinator *c, const struct shard *s)
{
    assert(s->used);
    struct member *best = NULL;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (!copy_is_good(s, &s->copies[i])) {
            continue;
        }
        struct member *m = &c->members[s->copies[i].member];
        if (coordinator_persist_may_ask(c, m) && (best == NULL || m->persists < best->persists)) {
            best = m;
        }
    }
    return best;
}

/* One that is away may come back, and those of before a restart have time to say that they are
 * here. */
static bool may_have_tier(const struct coordinator *c)
{
    for (uint32_t i = 0; i < c->member_count; i++) {
        if (c->members[i].state != MEMBER_FREE && c->members[i].has_tier) {
            return true;
        }
    }
    return c->now_ms < c->started_ms + c->config.restore_settle_ms;
}

/* Whether one that is newer is there, by which it is passed over. */
static bool is_passed(const struct coordinator *c, const struct run *run,
                      const struct checkpoint *k)
{
    assert(k->used);
    for (uint32_t i = run->first_checkpoint; i != NONE && &c->checkpoints[i] != k;
         i = c->checkpoints[i].next_in_run) {
        if (c->checkpoints[i].persist == PERSIST_DONE) {
            return true;
        }
    }
    /* What is not due grows due by age alone. */
    return k->state == CHECKPOINT_CONSISTENT && k->persist == PERSIST_NONE &&
           c->config.persist_max_age_ms == 0 && !is_due(c, run, k);
}

/* Nothing goes to the tier but from memory. What went there before is known of the newest alone. */
static enum checkpoint_tier word_of_gone(const struct run *run, uint32_t attempt, uint64_t step)
{
    assert(run->used);
    bool is_gone = attempt < run->attempt || (run->has_latest && step <= run->latest);
    if (!is_gone) {
        return CHECKPOINT_TIER_AWAITED;
    }
    return run->has_persisted && (run->persisted_attempt != attempt || run->persisted_step > step)
               ? CHECKPOINT_TIER_FORGOTTEN
               : CHECKPOINT_TIER_PASSED;
}

enum checkpoint_tier coordinator_persist_word(const struct coordinator *c, const struct run *run,
                                              uint32_t attempt, uint64_t step,
                                              const struct checkpoint *k)
{
    assert(run->used);
    bool is_newest =
        run->has_persisted && run->persisted_attempt == attempt && run->persisted_step == step;
    if (is_newest || (k != NULL && k->persist == PERSIST_DONE)) {
        return CHECKPOINT_TIER_WHOLE;
    }
    if (!may_have_tier(c)) {
        return CHECKPOINT_TIER_ABSENT;
    }
    if (k == NULL) {
        return word_of_gone(run, attempt, step);
    }
    return is_passed(c, run, k) ? CHECKPOINT_TIER_PASSED : CHECKPOINT_TIER_AWAITED;
}
