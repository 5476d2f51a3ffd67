/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/coordinator/cluster.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void advance(struct cluster *cluster, struct coordinator_event *event)
{
    event->now_ms = cluster->now_ms;
    event->wall_ms = cluster->wall_ms;
    event->secret = &cluster->secret;
    enum ckpt_status status = coordinator_advance(cluster->c, event, &cluster->update);
    assert(status == CKPT_OK);
    (void)status;
    cluster->secret.bytes[0] += cluster->update.secret_used;
}

void cluster_config(struct coordinator_config *config_out, uint32_t keep)
{
    coordinator_config_default(config_out);
    config_out->agents_max = 8;
    config_out->runs_max = 4;
    config_out->checkpoints_max = 16;
    config_out->shards_max = 64;
    config_out->keep = keep;
    config_out->digest = DIGEST_KIND_BLAKE3;
    config_out->invariant_full = true;
}

void cluster_start_with(struct cluster *cluster, uint32_t keep,
                        const struct coordinator_record *records, uint32_t count)
{
    struct coordinator_config config;
    cluster_config(&config, keep);
    cluster_start_config(cluster, config, records, count);
}

void cluster_start_config(struct cluster *cluster, struct coordinator_config config,
                          const struct coordinator_record *records, uint32_t count)
{
    char reason[CKPT_REASON_MAX + 1];
    memset(cluster, 0, sizeof *cluster);
    size_t bytes = coordinator_memory_bytes(&config, reason);
    cluster->memory = machine_memory(bytes);
    cluster->now_ms = 1000;
    enum ckpt_status status = coordinator_init(cluster->memory, bytes, &config, 5, 1, &cluster->c);
    assert(status == CKPT_OK);
    (void)status;
    struct coordinator_record id = {.type = RECORD_CLUSTER, .epoch = 1, .step = 7, .bytes = 7};
    struct coordinator_event named = {.type = COORDINATOR_REPLAY, .record = &id};
    advance(cluster, &named);
    for (uint32_t i = 0; i < count; i++) {
        struct coordinator_event replayed = {.type = COORDINATOR_REPLAY, .record = &records[i]};
        advance(cluster, &replayed);
    }
    struct coordinator_event event = {.type = COORDINATOR_REPLAY_END};
    advance(cluster, &event);
}

void cluster_start(struct cluster *cluster, uint32_t keep)
{
    cluster_start_with(cluster, keep, NULL, 0);
}

void cluster_start_nodes(struct cluster *cluster, uint32_t nodes)
{
    cluster_start(cluster, 2);
    for (uint32_t node = 0; node < nodes; node++) {
        cluster_join(cluster, node, (uint8_t)(node + 1));
    }
}

void cluster_stop(struct cluster *cluster)
{
    free(cluster->memory);
}

void cluster_message(struct cluster *cluster, uint32_t node, const struct message *message)
{
    struct message copy = *message;
    memset(&copy.incarnation, (int)node + 1, sizeof copy.incarnation);
    struct coordinator_event event = {.type = COORDINATOR_MESSAGE, .link = node, .message = &copy};
    advance(cluster, &event);
}

void cluster_tick(struct cluster *cluster, uint64_t ms)
{
    struct coordinator_event event = {.type = COORDINATOR_TICK};
    cluster->now_ms += ms;
    advance(cluster, &event);
}

void cluster_join(struct cluster *cluster, uint32_t node, uint8_t life)
{
    cluster_join_domain(cluster, node, life, node);
}

static void join(struct cluster *cluster, uint32_t node, uint8_t life, uint32_t domain,
                 enum agent_closed closed)
{
    struct message message = {.type = MESSAGE_JOIN};
    message.join.closed = closed;
    message.join.protocol = WIRE_PROTOCOL_VERSION;
    snprintf(message.join.node, sizeof message.join.node, "n%u", node);
    snprintf(message.join.domain, sizeof message.join.domain, "d%u", domain);
    snprintf(message.join.address, sizeof message.join.address, "127.0.0.1:%u", 7000 + node);
    message.join.cluster = coordinator_cluster(cluster->c);
    message.join.segment_bytes = 1 << 20;
    message.join.segments = message.join.segments_free = 16;
    message.join.features = WIRE_FEATURES;
    memset(&message.incarnation, life, sizeof message.incarnation);
    struct coordinator_event event = {
        .type = COORDINATOR_MESSAGE, .link = node, .message = &message};
    advance(cluster, &event);
}

void cluster_join_domain(struct cluster *cluster, uint32_t node, uint8_t life, uint32_t domain)
{
    join(cluster, node, life, domain, AGENT_OPEN);
}

void cluster_join_closed(struct cluster *cluster, uint32_t node, uint8_t life)
{
    join(cluster, node, life, node, AGENT_CLOSED_SLOW);
}

void cluster_alive(struct cluster *cluster, uint32_t nodes, uint32_t away)
{
    struct message alive = {.type = MESSAGE_HEARTBEAT};
    alive.heartbeat.segments_free = 16;
    alive.heartbeat.inventory_told = true;
    for (uint32_t node = 0; node < nodes; node++) {
        if ((away & 1u << node) == 0) {
            cluster_message(cluster, node, &alive);
        }
    }
}

void cluster_pass(struct cluster *cluster, uint64_t ms, uint32_t nodes, uint32_t away)
{
    for (uint64_t passed = 0; passed < ms; passed += 500) {
        cluster_alive(cluster, nodes, away);
        cluster_tick(cluster, 500);
    }
}

void cluster_disconnect(struct cluster *cluster, uint32_t node)
{
    struct coordinator_event event = {.type = COORDINATOR_DISCONNECTED, .link = node};
    advance(cluster, &event);
}

struct nonce cluster_start_name(uint32_t attempt)
{
    return (struct nonce){{1, (uint8_t)attempt}};
}

struct nonce cluster_seat_name(uint32_t attempt, uint32_t rank)
{
    return (struct nonce){{2, (uint8_t)attempt, (uint8_t)rank}};
}

void cluster_seat(struct cluster *cluster, uint32_t attempt, uint32_t world)
{
    for (uint32_t rank = 0; rank < world; rank++) {
        struct message m = {.type = MESSAGE_SEAT_ASK};
        m.seat_ask.run.uid = 1000;
        strcpy(m.seat_ask.run.name, "run");
        m.seat_ask.rank = rank;
        m.seat_ask.world = world;
        m.seat_ask.attempt = attempt;
        m.seat_ask.start = cluster_start_name(attempt);
        m.seat_ask.seat = cluster_seat_name(attempt, rank);
        cluster_message(cluster, rank, &m);
    }
}

struct message cluster_report(uint32_t attempt, uint64_t step, uint32_t rank, uint32_t world,
                              enum copy_state state, bool owner, uint8_t digest)
{
    struct message message = {.type = MESSAGE_SHARD_REPORT};
    struct message_shard_report *r = &message.shard_report;
    r->shard.run.uid = 1000;
    strcpy(r->shard.run.name, "run");
    r->shard.attempt = attempt;
    r->shard.step = step;
    r->shard.rank = rank;
    r->world = world;
    r->copies = 2;
    r->bytes = 4096;
    r->generation = step;
    r->state = state;
    r->owner = owner;
    memset(&r->digest, digest, sizeof r->digest);
    return message;
}

const struct message *cluster_find(const struct cluster *cluster, uint32_t node,
                                   enum message_type type)
{
    for (uint32_t i = 0; i < cluster->update.message_count; i++) {
        const struct coordinator_outgoing *out = &cluster->update.messages[i];
        if (out->message.type == type && (out->link == node || out->link == COORDINATOR_LINK_ALL)) {
            return &out->message;
        }
    }
    return NULL;
}

uint32_t cluster_count(const struct cluster *cluster, enum message_type type)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < cluster->update.message_count; i++) {
        count += cluster->update.messages[i].message.type == type;
    }
    return count;
}

uint32_t cluster_records(const struct cluster *cluster, enum coordinator_record_type type)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < cluster->update.record_count; i++) {
        count += cluster->update.records[i].type == type;
    }
    return count;
}

void cluster_save(struct cluster *cluster, uint32_t attempt, uint64_t step, uint32_t world)
{
    for (uint32_t rank = 0; rank < world; rank++) {
        uint8_t digest = (uint8_t)(step + rank);
        struct message m = cluster_report(attempt, step, rank, world, COPY_SEALED, true, digest);
        cluster_message(cluster, rank, &m);
        uint32_t holder = COORDINATOR_LINK_ALL;
        uint64_t order = 0;
        for (uint32_t i = 0; i < cluster->update.message_count; i++) {
            if (cluster->update.messages[i].message.type == MESSAGE_PULL_ORDER) {
                holder = cluster->update.messages[i].link;
                order = cluster->update.messages[i].message.pull_order.order;
            }
        }
        assert(holder != COORDINATOR_LINK_ALL && holder != rank);
        m = cluster_report(attempt, step, rank, world, COPY_VERIFIED, true, digest);
        cluster_message(cluster, rank, &m);
        m = cluster_report(attempt, step, rank, world, COPY_VERIFIED, false, digest);
        m.shard_report.order = order;
        cluster_message(cluster, holder, &m);
    }
}

struct coordinator_checkpoint_view cluster_checkpoint(const struct cluster *cluster, uint64_t step)
{
    struct coordinator_checkpoint_view view = {.state = CHECKPOINT_NONE};
    for (uint32_t i = 0; i < coordinator_checkpoint_count(cluster->c); i++) {
        struct coordinator_checkpoint_view k;
        if (coordinator_checkpoint_view(cluster->c, i, &k) && k.step == step) {
            view = k;
        }
    }
    return view;
}
