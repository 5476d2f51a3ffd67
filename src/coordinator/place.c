/* SPDX-License-Identifier: Apache-2.0 */
/* Which copies count, which may be read, and where the next one goes. */
#include "coordinator/drain.h"
#include "coordinator/state.h"

#include "base/planted_bug.h"

#define WORD_RESENDS 10 /* for so many times resend an agent's word that it is in use is taken */

/* The copy to read from: a good one, or the owner's sealed one; the one that failed least often. */
struct copy *shard_source(struct coordinator *c, struct shard *s, uint32_t not_member)
{
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    struct copy *best = NULL;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *copy = &s->copies[i];
        if (copy->member == NONE || copy->member == not_member || copy->bad || copy->cached) {
            continue;
        }
        bool sealed = checkpoint_is_open(k) && copy->owner &&
                      (copy->state == COPY_SEALED || copy->state == COPY_VERIFIED);
        if ((sealed || copy_is_good(s, copy)) &&
            (best == NULL || copy->source_failures < best->source_failures)) {
            best = copy;
        }
    }
    return best;
}

/* Domains of the good copies, without that of `without` (or NULL), with member (or NONE). */
static uint32_t good_domains(const struct coordinator *c, const struct shard *s,
                             const struct copy *without, uint32_t member)
{
    struct placement_map map = {.member_count = c->member_count, .members = c->places};
    uint32_t holders[COORDINATOR_COPIES_MAX + 1];
    uint32_t count = 0;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (&s->copies[i] != without && copy_is_good(s, &s->copies[i])) {
            holders[count++] = s->copies[i].member;
        }
    }
    if (member != NONE) {
        holders[count++] = member;
    }
    return placement_domains(&map, holders, count);
}

/* Domains of the good copies that are to stay, without that of `without` (or NULL). */
uint32_t shard_domains_apart(const struct coordinator *c, const struct shard *s,
                             const struct copy *without)
{
    struct placement_map map = {.member_count = c->member_count, .members = c->places};
    uint32_t holders[COORDINATOR_COPIES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy != without && copy_is_good(s, copy) && !copy_leaves(c, s, copy)) {
            holders[count++] = copy->member;
        }
    }
    return placement_domains(&map, holders, count);
}

static bool is_read_from(const struct shard *s, uint32_t member)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].order_kind == ORDER_PULL && s->copies[i].source == member) {
            return true;
        }
    }
    return false;
}

/* A copy that counts is being made. */
bool shard_is_pulled(const struct shard *s)
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

/* How much a copy that is one too many is wanted all the same: where the shard belongs, and the
 * owner's most of all. */
static uint32_t worth(const struct coordinator *c, const struct shard *s, const struct copy *copy)
{
    return copy_leaves(c, s, copy)
               ? 0
               : 1 + (copy->owner ? 2u : 0u) + shard_is_home(c, s, copy->member);
}

static uint32_t good_copies(const struct shard *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        count += copy_is_good(s, &s->copies[i]);
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
    return !copy_leaves(c, s, copy) || session_waits(&run->session) || session_uses(c, k) ||
           c->now_ms < run->active_ms + WORD_RESENDS * (uint64_t)c->config.resend_ms;
}

/* Nobody restores it, reads from it or has it proven, as far as is known here; what its agent has
 * lent, the agent knows, and for a while its word is taken. */
static bool is_idle(const struct coordinator *c, const struct shard *s, const struct copy *copy)
{
    bool was_kept = copy->kept_ms > 0 &&
                    c->now_ms < copy->kept_ms + WORD_RESENDS * (uint64_t)c->config.resend_ms;
    return copy_is_good(s, copy) && copy->order_kind == ORDER_NONE && !is_loaded(c, s, copy) &&
           !was_kept && !is_read_from(s, copy->member);
}

/* Of more good copies than were asked for, the one that is missed least; NULL: there are none too
 * many, or all are in use. What is left is in as many domains as was asked for, or as there are;
 * and so is what is to stay of it. */
struct copy *shard_surplus(const struct coordinator *c, struct shard *s)
{
    uint32_t copies = c->checkpoints[s->checkpoint].copies;
    copies -= PLANTED_BUG(TRIM_TOO_FAR) && copies > 1;
    uint32_t domains = good_domains(c, s, NULL, NONE);
    bool some_leave = shard_leaving(c, s) != NULL;
    uint32_t apart = some_leave ? shard_domains_apart(c, s, NULL) : 0;
    apart = apart < copies ? apart : copies;
    struct copy *least = NULL;
    if (good_copies(s) <= copies) {
        return NULL;
    }
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *copy = &s->copies[i];
        if (is_idle(c, s, copy) &&
            good_domains(c, s, copy, NONE) >= (domains < copies ? domains : copies) &&
            (!some_leave || copy_leaves(c, s, copy) || shard_domains_apart(c, s, copy) >= apart) &&
            (least == NULL || worth(c, s, copy) < worth(c, s, least))) {
            least = copy;
        }
    }
    return least;
}

/* A good copy that is to be let go when its shard has another for it; NULL: none is. */
struct copy *shard_leaving(const struct coordinator *c, struct shard *s)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (copy_is_good(s, &s->copies[i]) && copy_leaves(c, s, &s->copies[i])) {
            return &s->copies[i];
        }
    }
    return NULL;
}

/* Whether another node has room for it. Not the owner's: its rank restores it, and saves on that
 * node are few enough to fit. */
bool copy_may_leave(const struct coordinator *c, struct shard *s, struct copy *copy)
{
    uint32_t member;
    if (copy->owner || !is_idle(c, s, copy) || shard_is_pulled(s) || !shard_has_copies(c, s) ||
        shard_leaving(c, s) != NULL) {
        return false;
    }
    copy->leaves = true;
    struct holders h = shard_holders(c, s);
    bool may = place_choose(c, s, &h, &member) == CKPT_OK && copy_find(s, member) == NULL;
    copy->leaves = false;
    return may;
}

/* The place of a copy that is to be made. A reader's or a restoring rank's takes that of a copy too
 * many, whose agent is told to free it at its next report. */
struct copy *place_for(struct coordinator *c, struct shard *s, uint32_t member, uint32_t source,
                       enum pull_purpose purpose)
{
    struct copy *copy = copy_find(s, member);
    copy = copy != NULL ? copy : copy_add(c, s, member);
    if (copy == NULL && purpose != PULL_REPLICATE) {
        struct copy *extra = shard_surplus(c, s);
        if (extra != NULL && extra->member != source) {
            copy_drop(c, s, extra);
            copy = copy_add(c, s, member);
        }
    }
    return copy;
}

/* The place of a copy that turns up, perhaps where all places are taken. One in a domain that has
 * no good copy yet takes that of one in a domain that has two, or of a repair under way. NULL: it
 * is one too many. */
struct copy *place_for_found(struct coordinator *c, struct shard *s, uint32_t member)
{
    struct copy *copy = copy_add(c, s, member);
    uint32_t domains = good_domains(c, s, NULL, NONE);
    struct copy *extra = NULL;
    if (copy != NULL || good_domains(c, s, NULL, member) == domains) {
        return copy;
    }
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *other = &s->copies[i];
        bool is_asked_for = s->load_state != LOAD_NONE && s->load_member == other->member;
        bool is_twin = copy_is_good(s, other) && other->order_kind == ORDER_NONE &&
                       !is_read_from(s, other->member) &&
                       good_domains(c, s, other, NONE) == domains;
        bool is_repair = other->order_kind == ORDER_PULL && other->purpose == PULL_REPLICATE;
        if (!is_asked_for && (is_repair || (is_twin && extra == NULL))) {
            extra = other;
        }
    }
    if (extra != NULL) {
        copy_drop(c, s, extra);
        copy = copy_add(c, s, member);
    }
    return copy;
}

struct holders shard_holders(const struct coordinator *c, const struct shard *s)
{
    struct holders h = {.taken_count = 0};
    bool open = checkpoint_is_open(&c->checkpoints[s->checkpoint]);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy->member == NONE) {
            continue;
        }
        bool pulling = copy->order_kind == ORDER_PULL && !copy->cached;
        bool counts_soon =
            !copy->bad && !copy->cached && (copy->state == COPY_HELD || (open && copy->owner));
        bool waits = copy->state == COPY_VERIFIED && !s->has_digest && !copy->cached;
        if (!copy_leaves(c, s, copy) &&
            (copy_is_good(s, copy) || pulling || counts_soon || waits)) {
            h.taken[h.taken_count++] = copy->member;
        } else {
            h.avoid[h.avoid_count++] = copy->member;
        }
    }
    return h;
}

/* Where placement starts: the owner, or whoever holds a copy. */
static uint32_t origin_of(const struct shard *s, const struct holders *h)
{
    uint32_t origin = h->taken_count > 0 ? h->taken[0] : h->avoid[0];
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].member != NONE && s->copies[i].owner) {
            return s->copies[i].member;
        }
    }
    return origin;
}

static struct placement_map map_of(const struct coordinator *c, const struct shard *s)
{
    return (struct placement_map){.member_count = c->member_count,
                                  .members = c->places,
                                  .domain_count = c->domain_count,
                                  .domains = c->domains,
                                  .takes_last = c->drains > 0 && !drain_applies(c, s)};
}

/* Where the copy would go if all had room. */
enum ckpt_status place_choose_full(const struct coordinator *c, const struct shard *s,
                                   const struct holders *h, uint32_t *member_out)
{
    struct placement_map map = map_of(c, s);
    struct placement_room none = {.segments = 0};
    return placement_choose(&map, origin_of(s, h), h->taken, h->taken_count, h->avoid,
                            h->avoid_count, &none, member_out);
}

/* Frees a husk or a cached copy's place in the choice: a member that failed is tried again only
 * when nobody else is left. */
enum ckpt_status place_choose(const struct coordinator *c, const struct shard *s,
                              const struct holders *h, uint32_t *member_out)
{
    struct placement_map map = map_of(c, s);
    uint32_t origin = origin_of(s, h);
    struct placement_room needs = shard_needs(c, s, origin);
    enum ckpt_status status = placement_choose(&map, origin, h->taken, h->taken_count, h->avoid,
                                               h->avoid_count, &needs, member_out);
    if (status == CKPT_ERR_FULL && h->avoid_count > 0) {
        status =
            placement_choose(&map, origin, h->taken, h->taken_count, NULL, 0, &needs, member_out);
    }
    return status;
}
