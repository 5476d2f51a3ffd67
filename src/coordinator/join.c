/* SPDX-License-Identifier: Apache-2.0 */
/* Who may join, and what is known of an agent from its JOIN. */
#include "coordinator/join.h"

#include <string.h>

#include "base/reason.h"
#include "base/planted_bug.h"
#include "coordinator/home.h"
#include "coordinator/member.h"
#include "coordinator/note.h"
#include "coordinator/queue.h"
#include "coordinator/roster.h"
#include "coordinator/table.h"
#include "coordinator/trouble.h"
#include "coordinator/update.h"

static void refuse(struct coordinator *c, uint32_t link, const struct message_join *join,
                   enum ckpt_status status, const char *reason)
{
    struct trouble what = {.kind = TROUBLE_JOIN, .status = status};
    if (name_is_valid(join->node, CKPT_NODE_NAME_MAX)) {
        strcpy(what.node, join->node);
    }
    (void)coordinator_trouble_happens(c, EVENT_join_denied, &what, "%s", reason);
    struct message *m = coordinator_update_message(c, link, MESSAGE_WELCOME);
    m->welcome.status = status;
    m->welcome.cluster = c->cluster;
    reason_set(m->welcome.reason, "%s", reason);
    c->update->messages[c->update->message_count - 1].close = true;
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
    reason_set(
        reason,
        "node %s is of cluster %s, this coordinator of %s: correct its coordinator's address, or "
        "give its arena up",
        join->node, theirs, ours);
    return true;
}

/* Its agent proves with BLAKE3 alone; reason says what to do. */
static bool is_of_before_keys(const struct coordinator *c, const struct message_join *join,
                              char *reason)
{
    if (!c->has_keys || (join->features & WIRE_FEATURE_FINGERPRINT) != 0) {
        return false;
    }
    reason_set(reason,
               "node %s: its agent proves with BLAKE3 alone, and runs of this cluster are proven "
               "by fingerprints: upgrade the agent",
               join->node);
    return true;
}

/* The member for a join, or NULL when it was refused. */
static struct member *member_for_join(struct coordinator *c, uint32_t link,
                                      const struct message *message)
{
    const struct message_join *join = &message->join;
    char reason[CKPT_REASON_MAX + 1];
    if (join->protocol != WIRE_PROTOCOL_VERSION) {
        reason_set(reason, "agent speaks protocol %u, this coordinator %u: upgrade the older one",
                   join->protocol, WIRE_PROTOCOL_VERSION);
        refuse(c, link, join, CKPT_ERR_VERSION, reason);
        return NULL;
    }
    if (!join_is_valid(join)) {
        refuse(c, link, join, CKPT_ERR_INVALID,
               "join with an invalid node, domain, address or size");
        return NULL;
    }
    if (is_strange(c, join, reason)) {
        refuse(c, link, join, CKPT_ERR_DENIED, reason);
        return NULL;
    }
    if (is_of_before_keys(c, join, reason)) {
        refuse(c, link, join, CKPT_ERR_VERSION, reason);
        return NULL;
    }
    if (address_is_any(join->address)) {
        reason_set(
            reason,
            "node %s says that others reach it at %.107s, which stands for every address of a "
            "machine: set advertise",
            join->node, join->address);
        refuse(c, link, join, CKPT_ERR_INVALID, reason);
        return NULL;
    }
    struct member *m = coordinator_member_by_name(c, join->node);
    if (m == NULL) {
        m = coordinator_roster_add(c, join->node,
                                   PLANTED_BUG(ONE_DOMAIN) ? join->node : join->domain);
        if (m == NULL) {
            refuse(
                c, link, join, CKPT_ERR_FULL,
                "agents_max nodes are joined already: raise it in the coordinator's configuration");
        }
        return m;
    }
    bool same = incarnation_equal(&m->incarnation, &message->incarnation);
    if (m->state == MEMBER_JOINED && !same) {
        if (m->connected && m->link != link) {
            reason_set(reason, "node %s is already joined by another agent that lives at %s",
                       join->node, m->address);
            refuse(c, link, join, CKPT_ERR_BUSY, reason);
            return NULL;
        }
        if (!PLANTED_BUG(OLD_INCARNATION)) {
            coordinator_member_lost(c, m, "a new agent of this node joined");
        }
    }
    if (PLANTED_BUG(ONE_DOMAIN) || coordinator_roster_is_in(c, m, join->domain)) {
        return m;
    }
    if (m->state == MEMBER_JOINED) {
        reason_set(reason, "node %s is joined in domain %s: end its agent before it moves",
                   join->node, c->domain_names[c->places[m - c->members].domain]);
        refuse(c, link, join, CKPT_ERR_INVALID, reason);
        return NULL;
    }
    coordinator_roster_move(c, m, join->domain);
    return m;
}

void coordinator_on_join(struct coordinator *c, uint32_t link, const struct message *message)
{
    struct member *m = member_for_join(c, link, message);
    if (m == NULL) {
        return;
    }
    const struct message_join *join = &message->join;
    uint32_t index = (uint32_t)(m - c->members);
    bool rejoined = m->state == MEMBER_JOINED;
    if (m->connected && m->link != link) {
        coordinator_update_close(c, m->link);
    }
    if (m->connected) {
        coordinator_member_unlink(c, m);
    }
    strcpy(m->address, join->address);
    m->incarnation = message->incarnation;
    m->is_of_cluster = nonce_equal(&join->cluster, &c->cluster);
    coordinator_member_move(c, m, MEMBER_JOINED);
    m->stopped = false;
    m->segments = join->segments;
    m->segment_bytes = join->segment_bytes;
    m->page_bytes = join->page_bytes;
    m->features = join->features;
    m->locked = join->locked;
    m->closed = join->closed;
    m->has_tier = join->has_tier && (join->features & WIRE_FEATURE_TIER) != 0;
    m->tier_failures = 0;
    m->tier_due_ms = 0;
    m->inventory_told = false; /* it tells all of it again */
    m->joined_ms = m->heard_ms = c->now_ms;
    m->lease_until_ms = c->now_ms + c->config.lease_ms;
    m->settled = false;
    m->has_bytes = false;
    coordinator_homes_member_joined(c, index);
    coordinator_roster_set_usable(c, index, true);
    c->places[index].segments_free = join->segments_free;
    c->places[index].part_bytes_free = 0; /* until it says more */
    coordinator_member_link(c, m, link);
    m->refusals = 0;
    coordinator_trouble_is_over(c, TROUBLE_JOIN, m->node, NULL);

    struct message *welcome = coordinator_update_message(c, link, MESSAGE_WELCOME);
    welcome->welcome.heartbeat_ms = c->config.heartbeat_ms;
    welcome->welcome.lease_ms = c->config.lease_ms;
    welcome->welcome.features = WIRE_FEATURES;
    welcome->welcome.cluster = c->cluster;
    coordinator_note(c, rejoined ? EVENT_agent_rejoined : EVENT_agent_joined, about_node(m->node),
                     "at %s, domain %s, %u segments", m->address,
                     c->domain_names[c->places[index].domain], m->segments);
    coordinator_queue_unpark_all(c);
}
