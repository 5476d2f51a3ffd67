/* SPDX-License-Identifier: Apache-2.0 */
/* Members: joining, leases, loss; and the door for every message.
 *
 *   FREE --join--> JOINED --lease over, or disconnected for too long--> LOST --join--> JOINED
 *                         `------------------goodbye------------------^
 *
 * Who says goodbye is lost at once, and known to have stopped: its memory stays, and it is waited
 * for as for any other. A lost member keeps its place, so that a loss moves nothing but its copies,
 * until it is forgotten (roster.c). */
#include "coordinator/drain.h"
#include "coordinator/state.h"

#include <assert.h>
#include <string.h>

#include "base/planted_bug.h"

struct member *member_by_link(struct coordinator *c, uint32_t link)
{
    uint32_t i = c->link_buckets[(link * 2654435761u) & c->link_mask];
    for (; i != NONE; i = c->members[i].next_in_bucket) {
        if (c->members[i].link == link) {
            return &c->members[i];
        }
    }
    return NULL;
}

static void link_set(struct coordinator *c, struct member *m, uint32_t link)
{
    uint32_t *bucket = &c->link_buckets[(link * 2654435761u) & c->link_mask];
    assert(!m->connected);
    m->link = link;
    m->connected = true;
    m->next_in_bucket = *bucket;
    *bucket = (uint32_t)(m - c->members);
}

static void link_clear(struct coordinator *c, struct member *m)
{
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
    struct member *m = &c->members[member];
    while (m->first_copy != NONE) {
        struct copy *copy;
        struct shard *s = copy_shard(c, m->first_copy, &copy);
        copy_drop(c, s, copy);
        shard_refresh(c, s);
        restore_copy_gone(c, s, member);
        queue_push(c, s);
    }
    assert(m->copies_verified == 0 && m->pulls == 0 && m->orders == 0 && m->inventory == 0);
}

static void member_leaves(struct coordinator *c, struct coordinator_update *u, struct member *m)
{
    uint32_t index = (uint32_t)(m - c->members);
    if (u->record_count == 0 || u->records[0].type != RECORD_EPOCH) {
        c->epoch++;
        struct coordinator_record *record = update_record(c, u, RECORD_EPOCH);
        record->epoch = c->epoch;
    }
    m->state = MEMBER_LOST;
    index_set_add(&c->members_lost, index);
    m->inventory_told = false;
    m->drained = false;
    homes_member_lost(c, index);
    seats_of_member_lost(c, index);
    roster_set_usable(c, index, false);
    drop_copies(c, index);
    if (m->connected) {
        if (update_has_room(u, 1)) {
            update_close(u, m->link);
        }
        link_clear(c, m);
    }
}

static void member_lost(struct coordinator *c, struct coordinator_update *u, struct member *m,
                        const char *why)
{
    member_leaves(c, u, m);
    struct machine_note *note = update_note(u, EVENT_agent_lost);
    strcpy(note->node, m->node);
    say(note->text, "%s; its copies no longer count", why);
}

static void member_stopped(struct coordinator *c, struct coordinator_update *u, struct member *m)
{
    m->stopped = true;
    member_leaves(c, u, m);
    struct machine_note *note = update_note(u, EVENT_agent_stopped);
    strcpy(note->node, m->node);
    say(note->text,
        "in order; its memory stays, and its copies count again when it is back. They are made "
        "again elsewhere if that takes more than %u ms",
        c->config.repair_after_ms);
}

static void refuse(struct coordinator *c, struct coordinator_update *u, uint32_t link,
                   const struct message_join *join, enum ckpt_status status, const char *reason)
{
    struct trouble what = {.kind = TROUBLE_JOIN, .status = status};
    if (name_is_valid(join->node, CKPT_NODE_NAME_MAX)) {
        strcpy(what.node, join->node);
    }
    (void)trouble_happens(c, u, EVENT_join_denied, &what, "%s", reason);
    struct message *m = update_message(c, u, link, MESSAGE_WELCOME);
    m->welcome.status = status;
    m->welcome.cluster = c->cluster;
    say(m->welcome.reason, "%s", reason);
    u->messages[u->message_count - 1].close = true;
}

/* "Every address" as a machine listens at it: nobody else can connect to that. */
static bool address_is_any(const char *address)
{
    static const char *const any[] = {"*:", ":", "0.0.0.0:", "[::]:"};
    for (size_t i = 0; i < sizeof any / sizeof any[0]; i++) {
        if (strncmp(address, any[i], strlen(any[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool join_is_valid(const struct message_join *join)
{
    return name_is_valid(join->node, CKPT_NODE_NAME_MAX) &&
           name_is_valid(join->domain, CKPT_DOMAIN_NAME_MAX) && join->address[0] != '\0' &&
           join->segments > 0 && join->segments <= CKPT_ARENA_SEGMENTS_MAX &&
           join->segment_bytes > 0 && join->segment_bytes <= CKPT_SEGMENT_BYTES_LARGEST &&
           join->segments_free <= join->segments;
}

/* Its memory is of another cluster; reason says so. */
static bool is_strange(const struct coordinator *c, const struct message_join *join, char *reason)
{
    if (nonce_is_zero(&join->cluster) || nonce_equal(&join->cluster, &c->cluster)) {
        return false;
    }
    char ours[NONCE_HEX_SIZE], theirs[NONCE_HEX_SIZE];
    nonce_hex(&c->cluster, ours);
    nonce_hex(&join->cluster, theirs);
    say(reason,
        "node %s is of cluster %s, this coordinator of %s: correct its coordinator's address, or "
        "give its arena up",
        join->node, theirs, ours);
    return true;
}

/* The member for a join, or NULL when it was refused. */
static struct member *member_for_join(struct coordinator *c, struct coordinator_update *u,
                                      uint32_t link, const struct message *message)
{
    const struct message_join *join = &message->join;
    char reason[CKPT_REASON_MAX + 1];
    if (join->protocol != WIRE_PROTOCOL_VERSION) {
        say(reason, "agent speaks protocol %u, this coordinator %u: upgrade the older one",
            join->protocol, WIRE_PROTOCOL_VERSION);
        refuse(c, u, link, join, CKPT_ERR_VERSION, reason);
        return NULL;
    }
    if (!join_is_valid(join)) {
        refuse(c, u, link, join, CKPT_ERR_INVALID,
               "join with an invalid node, domain, address or size");
        return NULL;
    }
    if (is_strange(c, join, reason)) {
        refuse(c, u, link, join, CKPT_ERR_DENIED, reason);
        return NULL;
    }
    if (address_is_any(join->address)) {
        say(reason,
            "node %s says that others reach it at %.107s, which stands for every address of a "
            "machine: set advertise",
            join->node, join->address);
        refuse(c, u, link, join, CKPT_ERR_INVALID, reason);
        return NULL;
    }
    struct member *m = roster_find(c, join->node);
    if (m == NULL) {
        m = roster_add(c, u, join->node, PLANTED_BUG(ONE_DOMAIN) ? join->node : join->domain);
        if (m == NULL) {
            refuse(
                c, u, link, join, CKPT_ERR_FULL,
                "agents_max nodes are joined already: raise it in the coordinator's configuration");
        }
        return m;
    }
    bool same = incarnation_equal(&m->incarnation, &message->incarnation);
    if (m->state == MEMBER_JOINED && !same) {
        if (m->connected && m->link != link) {
            say(reason, "node %s is already joined by another agent that lives at %s", join->node,
                m->address);
            refuse(c, u, link, join, CKPT_ERR_BUSY, reason);
            return NULL;
        }
        if (!PLANTED_BUG(OLD_INCARNATION)) {
            member_lost(c, u, m, "a new agent of this node joined");
        }
    }
    if (PLANTED_BUG(ONE_DOMAIN) || roster_is_in(c, m, join->domain)) {
        return m;
    }
    if (m->state == MEMBER_JOINED) {
        say(reason, "node %s is joined in domain %s: end its agent before it moves", join->node,
            c->domain_names[c->places[m - c->members].domain]);
        refuse(c, u, link, join, CKPT_ERR_INVALID, reason);
        return NULL;
    }
    roster_move(c, m, join->domain);
    return m;
}

static void on_join(struct coordinator *c, struct coordinator_update *u, uint32_t link,
                    const struct message *message)
{
    struct member *m = member_for_join(c, u, link, message);
    if (m == NULL) {
        return;
    }
    const struct message_join *join = &message->join;
    uint32_t index = (uint32_t)(m - c->members);
    bool rejoined = m->state == MEMBER_JOINED;
    if (m->connected && m->link != link) {
        update_close(u, m->link);
    }
    if (m->connected) {
        link_clear(c, m);
    }
    strcpy(m->address, join->address);
    m->incarnation = message->incarnation;
    m->is_of_cluster = nonce_equal(&join->cluster, &c->cluster);
    m->state = MEMBER_JOINED;
    m->stopped = false;
    index_set_remove(&c->members_lost, index);
    m->segments = join->segments;
    m->segment_bytes = join->segment_bytes;
    m->page_bytes = join->page_bytes;
    m->features = join->features;
    m->locked = join->locked;
    m->inventory_told = false; /* it tells all of it again */
    m->joined_ms = m->heard_ms = c->now_ms;
    m->lease_until_ms = c->now_ms + c->config.lease_ms;
    m->settled = false;
    m->has_bytes = false;
    homes_member_joined(c, index);
    roster_set_usable(c, index, true);
    c->places[index].segments_free = join->segments_free;
    c->places[index].part_bytes_free = 0; /* until it says more */
    link_set(c, m, link);
    m->refusals = 0;
    trouble_is_over(c, TROUBLE_JOIN, m->node, NULL);

    struct message *welcome = update_message(c, u, link, MESSAGE_WELCOME);
    welcome->welcome.heartbeat_ms = c->config.heartbeat_ms;
    welcome->welcome.lease_ms = c->config.lease_ms;
    welcome->welcome.features = WIRE_FEATURES;
    welcome->welcome.cluster = c->cluster;
    struct machine_note *note =
        update_note(u, rejoined ? EVENT_agent_rejoined : EVENT_agent_joined);
    strcpy(note->node, m->node);
    say(note->text, "at %s, domain %s, %u segments", m->address,
        c->domain_names[c->places[index].domain], m->segments);
    unpark_all(c);
}

/* Who is settled, and has nothing new to hear, is answered once a lease, for it waits two leases
 * before it calls us silent: the answer is half of what a heartbeat costs. */
static void answer_heartbeat(struct coordinator *c, struct coordinator_update *u, struct member *m,
                             const struct message_heartbeat *heartbeat)
{
    bool settled = heartbeat->has_inventory && heartbeat->inventory == m->inventory;
    uint64_t due_ms = m->leased_ms + c->config.lease_ms - c->config.heartbeat_ms / 2;
    if (settled && m->settled && c->now_ms < due_ms) {
        return;
    }
    update_message(c, u, m->link, MESSAGE_LEASE)->lease.settled = settled;
    m->settled = settled;
    m->leased_ms = c->now_ms;
}

/* Room that came back goes to shards that wait for some, as many as it may do for. What was
 * ordered and never answered is ordered again. */
static void on_heartbeat(struct coordinator *c, struct coordinator_update *u, struct member *m,
                         const struct message_heartbeat *heartbeat)
{
    uint32_t index = (uint32_t)(m - c->members);
    struct placement_member *place = &c->places[index];
    uint64_t most = m->segments * m->segment_bytes;
    if (heartbeat->segments_free <= m->segments && heartbeat->part_bytes_free <= most) {
        uint32_t segments = heartbeat->segments_free > place->segments_free
                                ? heartbeat->segments_free - place->segments_free
                                : 0;
        uint64_t parts = heartbeat->part_bytes_free > place->part_bytes_free && m->page_bytes > 0
                             ? (heartbeat->part_bytes_free - place->part_bytes_free) / m->page_bytes
                             : 0;
        if (segments + parts > 0) {
            unpark(c, parts > UINT32_MAX - segments ? UINT32_MAX : segments + (uint32_t)parts);
            m->short_ms = 0;
        }
        place->segments_free = heartbeat->segments_free;
        place->part_bytes_free = heartbeat->part_bytes_free;
        place->part_bytes_largest = heartbeat->part_bytes_largest;
    }
    m->has_bytes = heartbeat->has_bytes;
    m->bytes_taken = heartbeat->bytes_taken;
    m->rails = heartbeat->rails;
    m->rails_up = heartbeat->rails_up;
    m->bytes_held = heartbeat->bytes_held;
    if (heartbeat->inventory_told && !m->inventory_told) {
        m->inventory_told = true;
        unpark_all(c); /* what it did not tell of is gone, and may be repaired */
    }
    answer_heartbeat(c, u, m, heartbeat);
    trouble_of_agent(c, u, m, heartbeat);
    uint32_t orders = m->orders;
    for (uint32_t i = m->first_copy; orders > 0 && i != NONE && update_has_room(u, 1);) {
        struct copy *copy;
        struct shard *s = copy_shard(c, i, &copy);
        i = copy->next;
        orders -= copy->order_kind != ORDER_NONE;
        if (copy->order_kind != ORDER_NONE && order_is_stale(c, copy)) {
            order_resend(c, u, s, copy);
        }
    }
}

static void agent_message(struct coordinator *c, struct coordinator_update *u, struct member *m,
                          const struct message *message)
{
    uint32_t index = (uint32_t)(m - c->members);
    switch ((int)message->type) {
    case MESSAGE_HEARTBEAT:
        on_heartbeat(c, u, m, &message->heartbeat);
        break;
    case MESSAGE_SHARD_REPORT:
        on_shard_report(c, u, index, &message->shard_report);
        break;
    case MESSAGE_PULL_FAILED:
        on_pull_failed(c, u, index, &message->pull_failed);
        break;
    case MESSAGE_LOAD_ASK:
        on_load_ask(c, u, index, &message->load_ask);
        break;
    case MESSAGE_CHECKPOINT_ASK:
        on_checkpoint_ask(c, u, m->link, &message->checkpoint_ask);
        break;
    case MESSAGE_NEED:
        on_need(c, u, index, &message->need);
        break;
    case MESSAGE_SEAT_ASK:
        on_seat_ask(c, u, index, &message->seat_ask);
        break;
    case MESSAGE_JOB_REPORT:
        on_job_report(c, u, m, &message->job);
        break;
    case MESSAGE_GOODBYE:
        member_stopped(c, u, m);
        break;
    case MESSAGE_STALE_EPOCH:
        break; /* an epoch above ours was handled at the door */
    default:
        update_close(u, m->link);
        break;
    }
}

/* A higher epoch ends this rule, when it is the word of an agent that has joined and whose memory
 * is of this cluster: it has obeyed another coordinator of ours. Anyone else's says nothing. */
static void on_higher_epoch(struct coordinator *c, struct coordinator_update *u,
                            const struct member *m, uint64_t epoch)
{
    bool is_proof = m->is_of_cluster;
    struct machine_note *note =
        update_note(u, is_proof ? EVENT_stale_coordinator : EVENT_strange_epoch);
    strcpy(note->node, m->node);
    say(note->text, "it knows of epoch %llu, this coordinator has %llu%s",
        (unsigned long long)epoch, (unsigned long long)c->epoch,
        is_proof ? "" : ": it has not shown that it is of this cluster, and is not believed");
    u->step_down = u->step_down || is_proof;
    if (!is_proof) {
        update_close(u, m->link);
    }
}

void member_message(struct coordinator *c, struct coordinator_update *u, uint32_t link,
                    const struct message *message)
{
    if (message->type == MESSAGE_JOIN) {
        on_join(c, u, link, message);
    }
    struct member *m = member_by_link(c, link);
    if (message->type == MESSAGE_JOIN) {
        if (m != NULL && message->epoch > c->epoch) {
            on_higher_epoch(c, u, m, message->epoch);
        }
        return;
    }
    if (m == NULL || m->state != MEMBER_JOINED ||
        !incarnation_equal(&m->incarnation, &message->incarnation)) {
        update_close(u, link); /* it joins again */
        return;
    }
    if (message->epoch > c->epoch) {
        on_higher_epoch(c, u, m, message->epoch);
        return;
    }
    m->heard_ms = c->now_ms;
    m->lease_until_ms = c->now_ms + c->config.lease_ms;
    agent_message(c, u, m, message);
}

void member_disconnected(struct coordinator *c, uint32_t link)
{
    struct member *m = member_by_link(c, link);
    if (m == NULL) {
        return;
    }
    link_clear(c, m);
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

/* Whose lease is over is lost, unless words of theirs may lie unread. Leases only grow while agents
 * are heard, so that after a look nobody can be due before the earliest end that was seen: some
 * looks a lease, not one a round. */
void members_tick(struct coordinator *c, struct coordinator_update *u, bool unread)
{
    uint64_t earliest_ms = c->now_ms + c->config.lease_ms;
    if (c->now_ms < c->lease_check_ms) {
        return;
    }
    for (uint32_t i = 0; i < c->member_count; i++) {
        struct member *m = &c->members[i];
        if (m->state == MEMBER_JOINED && c->now_ms >= m->lease_until_ms) {
            if (unread && !PLANTED_BUG(LEASE_BY_WALL)) {
                u->read_first = true;
                return;
            }
            if (!update_has_room(u, 1)) {
                u->again = true;
                return;
            }
            member_lost(c, u, m,
                        m->connected ? "silent for longer than its lease" : "disconnected");
        } else if (m->state == MEMBER_JOINED && m->lease_until_ms < earliest_ms) {
            earliest_ms = m->lease_until_ms;
        }
    }
    c->lease_check_ms = earliest_ms;
    roster_forget_old(c, u);
}
