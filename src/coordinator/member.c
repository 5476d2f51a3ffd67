/* SPDX-License-Identifier: Apache-2.0 */
/* Members: leases and loss. What may follow upon what is drawn in roster.c.
 *
 * Who says goodbye is lost at once, and known to have stopped: its memory stays, and it is waited
 * for as for any other. A lost member keeps its place, so that a loss moves nothing but its copies,
 * until it is forgotten (roster.c). */
#include "coordinator/member.h"

#include <assert.h>

#include "base/planted_bug.h"
#include "coordinator/copy.h"
#include "coordinator/home.h"
#include "coordinator/note.h"
#include "coordinator/persist_order.h"
#include "coordinator/queue.h"
#include "coordinator/redundancy.h"
#include "coordinator/restore.h"
#include "coordinator/roster.h"
#include "coordinator/seat_confirm.h"
#include "coordinator/table.h"
#include "coordinator/update.h"

void coordinator_member_link(struct coordinator *c, struct member *m, uint32_t link)
{
    uint32_t *bucket = &c->link_buckets[(link * 2654435761u) & c->link_mask];
    assert(!m->connected);
    m->link = link;
    m->connected = true;
    m->next_in_bucket = *bucket;
    *bucket = (uint32_t)(m - c->members);
}

void coordinator_member_unlink(struct coordinator *c, struct member *m)
{
    assert(m->state != MEMBER_FREE);
    uint32_t index = (uint32_t)(m - c->members);
    uint32_t *at = &c->link_buckets[(m->link * 2654435761u) & c->link_mask];
    while (*at != index) {
        assert(*at != NONE);
        at = &c->members[*at].next_in_bucket;
    }
    *at = m->next_in_bucket;
    m->connected = false;
    m->link = NONE;
}

/* Everything the member held is gone from the tables; whatever depended on it gets attention. */
static void drop_copies(struct coordinator *c, uint32_t member)
{
    assert(member < c->member_count);
    struct member *m = &c->members[member];
    while (m->first_copy != NONE) {
        struct copy *copy;
        struct shard *s = coordinator_copy_shard(c, m->first_copy, &copy);
        coordinator_copy_drop(c, s, copy);
        coordinator_shard_refresh(c, s);
        coordinator_restore_copy_gone(c, s, member);
        coordinator_queue_push(c, s);
    }
    assert(m->copies_verified == 0 && m->pulls == 0 && m->orders == 0 && m->inventory == 0);
}

static void member_leaves(struct coordinator *c, struct member *m)
{
    assert(m->state != MEMBER_FREE);
    uint32_t index = (uint32_t)(m - c->members);
    if (c->update->record_count == 0 || c->update->records[0].type != RECORD_EPOCH) {
        c->epoch++;
        struct coordinator_record *record = coordinator_update_record(c, RECORD_EPOCH);
        record->epoch = c->epoch;
    }
    coordinator_member_move(c, m, MEMBER_LOST);
    m->inventory_told = false;
    m->drained = false;
    coordinator_homes_member_lost(c, index);
    coordinator_seats_of_member_lost(c, index);
    coordinator_roster_set_usable(c, index, false);
    coordinator_persist_orders_drop_member(c, index);
    drop_copies(c, index);
    if (m->connected) {
        if (coordinator_update_has_room(c, 1)) {
            coordinator_update_close(c, m->link);
        }
        coordinator_member_unlink(c, m);
    }
}

void coordinator_member_lost(struct coordinator *c, struct member *m, const char *why)
{
    assert(m->state != MEMBER_FREE);
    member_leaves(c, m);
    coordinator_note(c, EVENT_agent_lost, about_node(m->node), "%s; its copies no longer count",
                     why);
}

void coordinator_member_stopped(struct coordinator *c, struct member *m)
{
    assert(m->state != MEMBER_FREE);
    m->stopped = true;
    member_leaves(c, m);
    coordinator_note(
        c, EVENT_agent_stopped, about_node(m->node),
        "in order; its memory stays, and its copies count again when it is back. They are made "
        "again elsewhere if that takes more than %u ms",
        c->config.repair_after_ms);
}

void coordinator_member_disconnected(struct coordinator *c, uint32_t link)
{
    struct member *m = coordinator_member_by_link(c, link);
    if (m == NULL) {
        return;
    }
    coordinator_member_unlink(c, m);
    uint64_t grace = c->now_ms + c->config.disconnect_grace_ms;
    /* After a stall of our own it may have hung up on us, and be about to try again. */
    if (c->stall_over_ms != 0 && c->now_ms < c->stall_over_ms + c->config.lease_ms) {
        m->lease_until_ms = c->now_ms + c->config.lease_ms;
    } else if (grace < m->lease_until_ms) {
        m->lease_until_ms = grace;
    }
    if (m->lease_until_ms < c->lease_check_ms) {
        c->lease_check_ms = m->lease_until_ms;
    }
}

void coordinator_members_tick(struct coordinator *c, bool unread)
{
    uint64_t earliest_ms = c->now_ms + c->config.lease_ms;
    if (c->now_ms < c->lease_check_ms) {
        return;
    }
    for (uint32_t i = 0; i < c->member_count; i++) {
        struct member *m = &c->members[i];
        if (m->state == MEMBER_JOINED && c->now_ms >= m->lease_until_ms) {
            if (unread && !PLANTED_BUG(LEASE_BY_WALL)) {
                c->update->read_first = true;
                return;
            }
            if (!coordinator_update_has_room(c, 1)) {
                c->update->again = true;
                return;
            }
            coordinator_member_lost(
                c, m, m->connected ? "silent for longer than its lease" : "disconnected");
        } else if (m->state == MEMBER_JOINED && m->lease_until_ms < earliest_ms) {
            earliest_ms = m->lease_until_ms;
        }
    }
    c->lease_check_ms = earliest_ms;
    coordinator_roster_forget_old(c);
}
