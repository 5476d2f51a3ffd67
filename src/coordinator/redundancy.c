/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a shard has its copies, in how many domains, and which of them is one too many. */
#include "coordinator/redundancy.h"

#include "base/planted_bug.h"
#include "coordinator/copy.h"
#include "coordinator/drain_rule.h"
#include "coordinator/home.h"
#include "coordinator/restore_state.h"
#include "coordinator/table.h"

uint32_t coordinator_shard_copies(const struct coordinator *c, const struct shard *s)
{
    uint32_t holders[COORDINATOR_COPIES_MAX];
    uint32_t count = 0;
    bool drain =
        checkpoint_is_open(&c->checkpoints[s->checkpoint]) && coordinator_drain_applies(c, s);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (coordinator_copy_is_good(s, &s->copies[i]) &&
            !(drain && c->places[s->copies[i].member].last)) {
            holders[count++] = s->copies[i].member;
        }
    }
    struct placement_map map = {.member_count = c->member_count, .members = c->places};
    return placement_domains(&map, holders, count);
}

bool coordinator_shard_has_copies(const struct coordinator *c, const struct shard *s)
{
    uint32_t copies = coordinator_shard_copies(c, s);
    if (PLANTED_BUG(ONE_DIGEST)) {
        return copies > 0;
    }
    return copies >= c->checkpoints[s->checkpoint].copies;
}

void coordinator_shard_refresh(struct coordinator *c, struct shard *s)
{
    struct checkpoint *k = &c->checkpoints[s->checkpoint];
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].member != NONE) {
            coordinator_copy_weigh(c, s, &s->copies[i]);
        }
    }
    bool ready = s->sealed && coordinator_shard_has_copies(c, s);
    if (ready != s->ready) {
        coordinator_checkpoint_touch(c, k);
        s->ready = ready;
        k->ready = ready ? k->ready + 1 : k->ready - 1;
        k->progress_ms = ready ? c->now_ms : k->progress_ms;
    }
}

uint32_t coordinator_shard_good_domains(const struct coordinator *c, const struct shard *s,
                                        const struct copy *without, uint32_t member)
{
    struct placement_map map = {.member_count = c->member_count, .members = c->places};
    uint32_t holders[COORDINATOR_COPIES_MAX + 1];
    uint32_t count = 0;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (&s->copies[i] != without && coordinator_copy_is_good(s, &s->copies[i])) {
            holders[count++] = s->copies[i].member;
        }
    }
    if (member != NONE) {
        holders[count++] = member;
    }
    return placement_domains(&map, holders, count);
}

/* Domains of the good copies that are to stay, without that of `without` (or NULL). */
static uint32_t shard_domains_apart(const struct coordinator *c, const struct shard *s,
                                    const struct copy *without)
{
    struct placement_map map = {.member_count = c->member_count, .members = c->places};
    uint32_t holders[COORDINATOR_COPIES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy != without && coordinator_copy_is_good(s, copy) &&
            !coordinator_copy_leaves(c, s, copy)) {
            holders[count++] = copy->member;
        }
    }
    return placement_domains(&map, holders, count);
}

bool coordinator_shard_has_copies_apart(const struct coordinator *c, const struct shard *s)
{
    return shard_domains_apart(c, s, NULL) >= c->checkpoints[s->checkpoint].copies;
}

struct copy *coordinator_shard_leaving(const struct coordinator *c, struct shard *s)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (coordinator_copy_is_good(s, &s->copies[i]) &&
            coordinator_copy_leaves(c, s, &s->copies[i])) {
            return &s->copies[i];
        }
    }
    return NULL;
}

bool coordinator_shard_is_read_from(const struct shard *s, uint32_t member)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].order_kind == ORDER_PULL && s->copies[i].source == member) {
            return true;
        }
    }
    return false;
}

bool coordinator_shard_is_pulled(const struct shard *s)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy->member != NONE && copy->order_kind == ORDER_PULL &&
            copy->purpose == PULL_REPLICATE) {
            return true;
        }
    }
    return false;
}

#define WORD_RESENDS 10 /* for so many times resend an agent's word that it is in use is taken */

/* How much a copy that is one too many is wanted all the same: where the shard belongs, and the
 * owner's most of all. */
static uint32_t worth(const struct coordinator *c, const struct shard *s, const struct copy *copy)
{
    return coordinator_copy_leaves(c, s, copy)
               ? 0
               : 1 + (copy->owner ? 2u : 0u) + coordinator_shard_is_home(c, s, copy->member);
}

static uint32_t good_copies(const struct shard *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        count += coordinator_copy_is_good(s, &s->copies[i]);
    }
    return count;
}

/* It was asked for by a rank that restores it. One that is to go is so no longer when its load has
 * ended, and nobody has asked for a while: what the rank has mapped, its agent knows. */
static bool is_loaded(const struct coordinator *c, const struct shard *s, const struct copy *copy)
{
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    const struct run *run = &c->runs[k->run];
    if (s->load_state == LOAD_NONE || s->load_member != copy->member) {
        return false;
    }
    return !coordinator_copy_leaves(c, s, copy) || coordinator_restore_waits(&run->restore) ||
           coordinator_restore_uses(c, k) ||
           c->now_ms < run->active_ms + WORD_RESENDS * (uint64_t)c->config.resend_ms;
}

bool coordinator_copy_is_idle(const struct coordinator *c, const struct shard *s,
                              const struct copy *copy)
{
    bool was_kept = copy->kept_ms > 0 &&
                    c->now_ms < copy->kept_ms + WORD_RESENDS * (uint64_t)c->config.resend_ms;
    return coordinator_copy_is_good(s, copy) && copy->order_kind == ORDER_NONE &&
           !is_loaded(c, s, copy) && !was_kept && !coordinator_shard_is_read_from(s, copy->member);
}

struct copy *coordinator_shard_surplus(const struct coordinator *c, struct shard *s)
{
    uint32_t copies = c->checkpoints[s->checkpoint].copies;
    copies -= PLANTED_BUG(TRIM_TOO_FAR) && copies > 1;
    uint32_t domains = coordinator_shard_good_domains(c, s, NULL, NONE);
    bool some_leave = coordinator_shard_leaving(c, s) != NULL;
    uint32_t apart = some_leave ? shard_domains_apart(c, s, NULL) : 0;
    apart = apart < copies ? apart : copies;
    struct copy *least = NULL;
    if (good_copies(s) <= copies) {
        return NULL;
    }
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *copy = &s->copies[i];
        if (coordinator_copy_is_idle(c, s, copy) &&
            coordinator_shard_good_domains(c, s, copy, NONE) >=
                (domains < copies ? domains : copies) &&
            (!some_leave || coordinator_copy_leaves(c, s, copy) ||
             shard_domains_apart(c, s, copy) >= apart) &&
            (least == NULL || worth(c, s, copy) < worth(c, s, least))) {
            least = copy;
        }
    }
    return least;
}
