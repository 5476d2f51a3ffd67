/* SPDX-License-Identifier: Apache-2.0 */
/* The names of members and of their domains, and each one's place in its domain.
 *
 * A lost member's name stays, as it may come back and its place is a hole that moves nothing. It is
 * forgotten when it has been away for forget_ms, or at once for a node that has no place in the
 * table; where its copies belong is known without it (home.c). A full table of nodes that are gone
 * never refuses one that lives. */
#include "coordinator/roster.h"

#include <assert.h>
#include <string.h>

#include "coordinator/fetch_table.h"
#include "coordinator/home.h"
#include "coordinator/note.h"
#include "coordinator/table.h"
#include "coordinator/update.h"

/*   FREE --join--> JOINED --lease over, or disconnected for too long--> LOST --join--> JOINED
 *    |                 `------------------goodbye------------------^  ^  `--forgotten--> FREE
 *    '--to be drained, and known by its name alone---------------------' */
static const unsigned moves[] = {
    [MEMBER_FREE] = TO(MEMBER_JOINED) | TO(MEMBER_LOST),
    [MEMBER_JOINED] = TO(MEMBER_JOINED) | TO(MEMBER_LOST),
    [MEMBER_LOST] = TO(MEMBER_JOINED) | TO(MEMBER_FREE),
};

void coordinator_member_move(struct coordinator *c, struct member *m, enum member_state to)
{
    assert(MAY_MOVE(moves, m->state, to));
    m->state = (uint8_t)to;
    index_set_put(&c->members_lost, (uint32_t)(m - c->members), to == MEMBER_LOST);
}

static uint32_t domain_intern(struct coordinator *c, const char *name)
{
    uint32_t *bucket = &c->domain_buckets[coordinator_name_hash(0, name) & c->link_mask];
    for (uint32_t i = *bucket; i != NONE; i = c->domain_next[i]) {
        if (strcmp(c->domain_names[i], name) == 0) {
            return i;
        }
    }
    uint32_t domain =
        coordinator_table_take(&c->domains_free, &c->domain_count, c->config.agents_max);
    assert(domain != NONE); /* each has a member */
    strcpy(c->domain_names[domain], name);
    c->domains[domain] = (struct placement_domain){.first = PLACEMENT_NONE};
    c->domain_next[domain] = *bucket;
    *bucket = domain;
    return domain;
}

static void domain_forget(struct coordinator *c, uint32_t domain)
{
    assert(domain < c->domain_count);
    const char *name = c->domain_names[domain];
    uint32_t *at = &c->domain_buckets[coordinator_name_hash(0, name) & c->link_mask];
    while (*at != domain) {
        assert(*at != NONE);
        at = &c->domain_next[*at];
    }
    *at = c->domain_next[domain];
    c->domains[domain] = (struct placement_domain){.first = PLACEMENT_NONE};
    index_set_add(&c->domains_free, domain);
}

static void place_in_domain(struct coordinator *c, uint32_t member, uint32_t domain)
{
    assert(domain < c->domain_count);
    assert(member < c->member_count);
    struct placement_domain *d = &c->domains[domain];
    if (d->size == 0) {
        d->first = member;
    } else {
        c->places[c->domain_last[domain]].next = member;
    }
    c->domain_last[domain] = member;
    c->places[member] =
        (struct placement_member){.domain = domain, .place = d->size++, .next = PLACEMENT_NONE};
}

/* Those behind it in its domain move up. */
static void take_out_of_domain(struct coordinator *c, uint32_t member)
{
    assert(member < c->member_count);
    uint32_t domain = c->places[member].domain;
    struct placement_domain *d = &c->domains[domain];
    uint32_t previous = NONE;
    uint32_t at = d->first;
    while (at != member) {
        assert(at != PLACEMENT_NONE);
        previous = at;
        at = c->places[at].next;
    }
    uint32_t next = c->places[member].next;
    *(previous == NONE ? &d->first : &c->places[previous].next) = next;
    for (at = next; at != PLACEMENT_NONE; at = c->places[at].next) {
        c->places[at].place--;
    }
    if (next == PLACEMENT_NONE) {
        c->domain_last[domain] = previous;
    }
    if (--d->size == 0) {
        domain_forget(c, domain);
    }
}

bool coordinator_roster_is_in(const struct coordinator *c, const struct member *m,
                              const char *domain)
{
    assert(m->state != MEMBER_FREE);
    return strcmp(c->domain_names[c->places[m - c->members].domain], domain) == 0;
}

/* A member may be chosen, or not any more, or comes after the others: the domains that have an open
 * one of those that stay are counted. */
static void place_set(struct coordinator *c, uint32_t member, bool usable, bool last)
{
    assert(member < c->member_count);
    struct placement_member *place = &c->places[member];
    uint32_t *open = &c->domain_open[place->domain];
    bool closed = c->members[member].closed != AGENT_OPEN;
    bool was_open = place->usable && !place->closed && !place->last;
    bool is_open = usable && !closed && !last;
    bool drained = c->drains > 0;
    c->domains_open -= was_open && --*open == 0;
    c->domains_open += is_open && (*open)++ == 0;
    c->drains -= place->usable && place->last;
    c->drains += usable && last;
    place->usable = usable;
    place->closed = closed;
    place->last = last;
    c->drains_stir = c->drains_stir || drained || c->drains > 0;
}

void coordinator_roster_set_usable(struct coordinator *c, uint32_t member, bool usable)
{
    assert(member < c->member_count);
    place_set(c, member, usable, c->members[member].draining);
}

void coordinator_roster_set_draining(struct coordinator *c, uint32_t member, bool draining)
{
    assert(member < c->member_count);
    struct member *m = &c->members[member];
    m->draining = draining;
    m->drained = false;
    place_set(c, member, c->places[member].usable, draining);
}

void coordinator_roster_move(struct coordinator *c, const struct member *m, const char *domain)
{
    assert(m->state != MEMBER_FREE);
    uint32_t index = (uint32_t)(m - c->members);
    assert(m->state == MEMBER_LOST && m->first_copy == NONE);
    take_out_of_domain(c, index);
    place_in_domain(c, index, domain_intern(c, domain));
}

static void say_undrained(struct coordinator *c, const char *node)
{
    struct coordinator_record *record = coordinator_update_record(c, RECORD_UNDRAINED);
    strcpy(record->run.name, node);
}

void coordinator_roster_forget(struct coordinator *c, struct member *m, const char *why)
{
    assert(m->state != MEMBER_FREE);
    uint32_t index = (uint32_t)(m - c->members);
    assert(m->state == MEMBER_LOST && !m->connected && m->first_copy == NONE);
    if (m->draining) {
        say_undrained(c, m->node);
    }
    coordinator_note(c, EVENT_agent_forgotten, about_node(m->node), "away for %llu s; %s",
                     (unsigned long long)((c->now_ms - m->heard_ms) / 1000), why);
    uint32_t *at = &c->node_buckets[coordinator_name_hash(0, m->node) & c->link_mask];
    while (*at != index) {
        assert(*at != NONE);
        at = &c->members[*at].next_in_name_bucket;
    }
    *at = m->next_in_name_bucket;
    take_out_of_domain(c, index);
    coordinator_fetches_forget_member(c, index);
    coordinator_member_move(c, m, MEMBER_FREE);
    index_set_add(&c->members_free, index);
    *m = (struct member){.first_copy = NONE, .link = NONE};
    c->places[index] = (struct placement_member){.next = PLACEMENT_NONE};
}

/* The lower, the less is lost with its name. */
static uint32_t worth(const struct coordinator *c, const struct member *m)
{
    assert(m->state != MEMBER_FREE);
    return (m->draining ? 2u : 0u) + (coordinator_node_is_home(c, m->node) ? 1u : 0u);
}

/* The one that has been away for longest; one to which copies belong, or that is to be drained,
 * only where there is no other. */
static struct member *find_forgettable(struct coordinator *c)
{
    struct member *best = NULL;
    uint32_t best_worth = 0;
    for (uint32_t i = 0; (i = index_set_from(&c->members_lost, i)) != NONE; i++) {
        struct member *m = &c->members[i];
        uint32_t its_worth = worth(c, m);
        if (best == NULL || its_worth < best_worth ||
            (its_worth == best_worth && m->heard_ms < best->heard_ms)) {
            best = m;
            best_worth = its_worth;
        }
    }
    return best;
}

struct member *coordinator_roster_add(struct coordinator *c, const char *node, const char *domain)
{
    uint32_t index =
        coordinator_table_take(&c->members_free, &c->member_count, c->config.agents_max);
    if (index == NONE) {
        struct member *old = find_forgettable(c);
        if (old == NULL) {
            return NULL;
        }
        coordinator_roster_forget(c, old, "its place is needed");
        index = coordinator_table_take(&c->members_free, &c->member_count, c->config.agents_max);
    }
    struct member *m = &c->members[index];
    uint32_t *bucket = &c->node_buckets[coordinator_name_hash(0, node) & c->link_mask];
    *m = (struct member){.first_copy = NONE, .link = NONE, .next_in_name_bucket = *bucket};
    strcpy(m->node, node);
    *bucket = index;
    place_in_domain(c, index, domain_intern(c, domain));
    return m;
}

struct member *coordinator_roster_add_lost(struct coordinator *c, const char *node,
                                           const char *domain)
{
    struct member *m = coordinator_roster_add(c, node, domain);
    if (m != NULL) {
        coordinator_member_move(c, m, MEMBER_LOST);
        m->heard_ms = c->now_ms;
    }
    return m;
}

void coordinator_roster_forget_old(struct coordinator *c)
{
    for (uint32_t i = 0; (i = index_set_from(&c->members_lost, i)) != NONE; i++) {
        struct member *m = &c->members[i];
        if (c->now_ms >= m->heard_ms + c->config.forget_ms && worth(c, m) == 0) {
            coordinator_roster_forget(c, m, "it is off the list until it comes back");
        }
    }
}
