/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's process around its machine, as src/ckptd is: it feeds events, stores records, starts
 * work, sends messages, in that order, and may die between any two of them. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "hosts.h"
#include "judge.h"

#define CONNECT_TIMEOUT_MS 500

void node_init(struct sim *sim, uint32_t index)
{
    struct sim_node *node = &sim->nodes[index];
    agent_config_default(&node->config);
    snprintf(node->name, sizeof node->name, "n%u", index);
    node->domain = index % sim->mix.domains;
    snprintf(node->config.node, sizeof node->config.node, "n%u", index);
    snprintf(node->config.domain, sizeof node->config.domain, "d%u", node->domain);
    snprintf(node->config.address, sizeof node->config.address, "n%u", index);
    node->config.segment_bytes = sim->mix.segment_bytes;
    node->config.chunk_bytes = SIM_CHUNK_BYTES;
    node->config.segments = sim->mix.segments;
    node->config.slots = sim->mix.slots;
    node->config.page_bytes = sim->mix.page_bytes;
    node->config.parts = sim->mix.page_bytes > 0 ? SIM_SEGMENTS_MAX : 0;
    node->config.ranks_max = 16;
    node->config.pulls_max = sim_between(sim, 1, 6);
    node->config.copies_default = sim->mix.domains < 2 ? 1 : 2;
    node->config.heartbeat_ms = SIM_CONFIG_HEARTBEAT_MS;
    node->config.resend_ms = 250;
    node->config.offer_pin_ms = 1500;
    node->config.pull_timeout_ms = 800;
    node->config.load_timeout_ms = 12000;
    node->config.scrub_ms = sim->mix.scrub_ms;
    node->config.has_tier = sim->mix.has_tier && (sim->mix.tierless >> index & 1) == 0;
    node->wipes = 0;
    for (uint32_t i = 0; i < SIM_SEGMENTS_MAX; i++) {
        node->segments[i].version = 1;
        node->parts[i].version = 1;
    }
}

static bool apply(struct sim *sim, uint32_t index, const struct agent_event *event);

static void advance(struct sim *sim, uint32_t index, struct agent_event *event)
{
    struct sim_node *node = &sim->nodes[index];
    event->now_ms = sim->now_ms;
    event->late_ms = lateness_take(&node->host.lateness, sim->now_ms, 0);
    sim->stats.advances++;
    enum ckpt_status status = agent_advance(node->machine, event, &sim->agent_update);
    if (status != CKPT_OK) {
        sim_violation(sim, "node %u: agent_advance says %s", index, ckpt_status_name(status));
        return;
    }
    judge_agent_turn(sim, index, event, &sim->agent_update);
    apply(sim, index, event);
    judge_scrubbed(sim, index);
}

static void adopt_all(struct sim *sim, uint32_t index)
{
    struct sim_node *node = &sim->nodes[index];
    for (uint32_t slot = 0; slot < sim->mix.slots && node->host.alive; slot++) {
        if (node->slots[slot].stored) {
            struct slot_record record = node->slots[slot].record;
            struct agent_event event = {
                .type = AGENT_ADOPT, .record = &record, .corrupt = node->slots[slot].corrupt};
            if (event.corrupt) {
                struct slot_record left = {.slot = slot, .generation = record.generation};
                record = left;
            }
            advance(sim, index, &event);
        }
    }
    if (node->host.alive) {
        struct agent_event event = {
            .type = AGENT_ADOPT_END, .epoch = node->epoch_stored, .cluster = node->cluster_stored};
        advance(sim, index, &event);
    }
}

void node_stop(struct sim *sim, uint32_t index)
{
    struct agent_event event = {.type = AGENT_STOP};
    advance(sim, index, &event);
    host_crash(sim, index);
}

void node_start(struct sim *sim, uint32_t index)
{
    struct sim_node *node = &sim->nodes[index];
    assert(!node->host.alive);
    host_reset(sim, &node->host);
    char reason[CKPT_REASON_MAX + 1] = "";
    size_t bytes = agent_memory_bytes(&node->config, reason);
    if (bytes > node->memory_bytes) {
        free(node->memory);
        node->memory_bytes = (bytes + 63) / 64 * 64;
        node->memory = aligned_alloc(64, node->memory_bytes);
    }
    if (bytes == 0 || !node->memory) {
        sim_violation(sim, "node %u: the configuration is refused: %s", index, reason);
        return;
    }
    memset(node->memory, 0, node->memory_bytes);
    enum ckpt_status status = agent_init(node->memory, bytes, &node->config, node->host.incarnation,
                                         prng_next(&sim->prng), &node->machine);
    if (status != CKPT_OK) {
        sim_violation(sim, "node %u: agent_init says %s", index, ckpt_status_name(status));
        return;
    }
    sim_trace(sim, "node %u starts, life %u", index, node->host.life);
    node->coordinator_link = 0;
    node->next_link = 1;
    node->epoch_seen = 0;
    node->heard = (struct incarnation){{0}};
    memory_tidy(sim, index);
    adopt_all(sim, index);
    if (node->host.alive) {
        sim_later(sim, sim_between(sim, 1, 40), TURN_CONNECT, index, node->host.life, 0, NULL);
    }
}

void node_wipe(struct sim *sim, uint32_t index)
{
    struct sim_node *node = &sim->nodes[index];
    node->wipes++;
    node->lost_ms = sim->now_ms;
    memset(node->slots, 0, sizeof node->slots);
    node->epoch_stored = 0;
    node->cluster_stored = (struct nonce){{0}};
    for (uint32_t i = 0; i < SIM_SEGMENTS_MAX; i++) {
        node->segments[i] = (struct sim_segment){.version = node->segments[i].version + 1};
        node->parts[i] = (struct sim_segment){.version = node->parts[i].version + 1};
    }
}

void node_died(struct sim *sim, uint32_t index)
{
    struct sim_node *node = &sim->nodes[index];
    node->coordinator_link = 0;
    uint32_t down_ms = node->host.down_ms ? node->host.down_ms : sim_between(sim, 100, 3000);
    sim_later(sim, down_ms, TURN_START, index, node->host.life, 0, NULL);
}

/* Looks every so often whether there is a coordinator to talk to. */
void node_look_for_coordinator(struct sim *sim, uint32_t index)
{
    struct sim_node *node = &sim->nodes[index];
    sim_later(sim, sim_between(sim, 100, 300), TURN_CONNECT, index, node->host.life, 0, NULL);
    if (node->host.paused) {
        return;
    }
    if (node->coordinator_link && !node->coordinator_up &&
        sim->now_ms - node->coordinator_since_ms > CONNECT_TIMEOUT_MS) {
        net_close(sim, node->coordinator_link - 1, 0);
        node->coordinator_link = 0;
    }
    uint32_t ruler;
    if (node->coordinator_link || !ruler_pick(sim, &ruler) ||
        sim->cut[index][SIM_NODES_MAX + ruler] || sim->cut[SIM_NODES_MAX + ruler][index]) {
        return;
    }
    struct sim_ruler *to = &sim->rulers[ruler];
    struct sim_end from = {.type = END_NODE, .index = index, .life = node->host.life};
    struct sim_end end = {.type = END_RULER, .index = ruler, .life = to->host.life};
    from.link = node->next_link++;
    end.link = to->next_link++;
    uint32_t link = net_connect(sim, from, end);
    node->coordinator_link = link + 1;
    node->coordinator_up = false;
    node->coordinator_since_ms = sim->now_ms;
    struct parcel *parcel = parcel_new(PARCEL_UP);
    parcel->link = link;
    parcel->side = 1;
    sim_later(sim, sim_between(sim, 0, 5), TURN_PARCEL, link, 0, 0, parcel);
}

static void take_down(struct sim *sim, uint32_t index, const struct parcel *parcel)
{
    struct sim_node *node = &sim->nodes[index];
    struct sim_link *link = &sim->links[parcel->link];
    struct agent_event event = {.link = link->ends[parcel->side].link};
    link->ends[parcel->side].open = false;
    switch (link->ends[1 - parcel->side].type) {
    case END_RULER:
        if (node->coordinator_link != parcel->link + 1) {
            return;
        }
        node->coordinator_link = 0;
        if (!node->coordinator_up) {
            return;
        }
        event.type = AGENT_COORDINATOR_DOWN;
        break;
    case END_NODE:
        event.type = AGENT_PEER_DOWN;
        break;
    case END_RANK:
    case END_HOOK:
        event.type = AGENT_RANK_DOWN;
        break;
    }
    advance(sim, index, &event);
}

/* Does all that is due anyway, so that what comes of the next event comes of it alone. */
static void settle(struct sim *sim, uint32_t index)
{
    for (uint32_t i = 0; i < 20 && sim->nodes[index].host.alive; i++) {
        struct agent_event event = {.type = AGENT_TICK};
        advance(sim, index, &event);
        if (!sim->agent_update.again) {
            return;
        }
    }
}

static void take_message(struct sim *sim, uint32_t index, const struct parcel *parcel)
{
    struct sim_node *node = &sim->nodes[index];
    const struct sim_link *link = &sim->links[parcel->link];
    if (!session_filter_take(node->host.seen, &parcel->message.incarnation,
                             parcel->message.sequence)) {
        return;
    }
    struct agent_event event = {.link = link->ends[parcel->side].link, .message = &parcel->message};
    switch (link->ends[1 - parcel->side].type) {
    case END_RULER:
        if (node->coordinator_link != parcel->link + 1 && !net_is_late(sim, parcel)) {
            return;
        }
        if (parcel->message.epoch != node->epoch_seen) {
            settle(sim, index);
        }
        if (!node->host.alive) {
            return;
        }
        event.type = AGENT_COORDINATOR_MESSAGE;
        break;
    case END_NODE:
        event.type = AGENT_PEER_MESSAGE;
        break;
    case END_RANK:
        event.type = AGENT_RANK_MESSAGE;
        event.uid = sim_uid(sim->jobs[link->ends[1 - parcel->side].index / SIM_WORLD_MAX].user);
        break;
    case END_HOOK:
        event.type = AGENT_RANK_MESSAGE; /* root's */
        break;
    }
    trace_message(sim, "node", index, "takes", event.link, &parcel->message);
    advance(sim, index, &event);
}

void node_take(struct sim *sim, uint32_t index, struct parcel *parcel)
{
    struct sim_node *node = &sim->nodes[index];
    struct agent_event event = {0};
    if (parcel->type <= PARCEL_DOWN && !net_end_is_live(sim, parcel->link, parcel->side) &&
        !net_is_late(sim, parcel)) {
        return;
    }
    const struct sim_link *link = &sim->links[parcel->link];
    switch (parcel->type) {
    case PARCEL_MESSAGE:
        take_message(sim, index, parcel);
        return;
    case PARCEL_DOWN:
        take_down(sim, index, parcel);
        return;
    case PARCEL_UP:
        event.type = AGENT_COORDINATOR_UP;
        event.link = link->ends[parcel->side].link;
        if (link->ends[1 - parcel->side].type == END_RULER) {
            node->coordinator_up = true;
        } else if (link->ends[1 - parcel->side].type == END_HOOK) {
            event.type = AGENT_RANK_UP;
        } else {
            event.type = AGENT_RANK_UP;
            event.uid = sim_uid(sim->jobs[link->ends[0].index / SIM_WORLD_MAX].user);
        }
        break;
    case PARCEL_WORK:
        event.type = AGENT_WORK_DONE;
        event.work = parcel->work;
        event.status = parcel->status;
        event.digest = parcel->digest;
        event.bytes = parcel->bytes;
        event.device_digest = parcel->device_digest;
        break;
    case PARCEL_TICK:
        event.type = AGENT_TICK;
        break;
    case PARCEL_ADMIN:
        return;
    }
    advance(sim, index, &event);
}

static void connect_peer(struct sim *sim, uint32_t index, const struct agent_work *work)
{
    struct sim_node *node = &sim->nodes[index];
    uint32_t peer = (uint32_t)strtoul(work->address + 1, NULL, 10);
    struct sim_end from = {
        .type = END_NODE, .index = index, .life = node->host.life, .link = work->link};
    bool reached = work->address[0] == 'n' && peer < sim->mix.nodes &&
                   sim->nodes[peer].host.alive && !sim->cut[index][peer] && !sim->cut[peer][index];
    if (peer >= sim->mix.nodes) {
        peer = index;
    }
    struct sim_node *other = &sim->nodes[peer];
    struct sim_end to = {.type = END_NODE, .index = peer, .life = other->host.life};
    to.link = other->next_link++;
    uint32_t link = net_connect(sim, from, to);
    if (!reached) {
        net_close(sim, link, 1);
    }
}

static void start_work(struct sim *sim, uint32_t index, const struct agent_work *work,
                       const struct agent_event *event)
{
    uint32_t link;
    uint32_t side;
    if (work->type == AGENT_WORK_PEER_CONNECT) {
        connect_peer(sim, index, work);
    } else if (work->type == AGENT_WORK_PEER_CLOSE) {
        if (net_find(sim, END_NODE, index, work->link, &link, &side)) {
            net_close(sim, link, side);
        }
    } else {
        work_start(sim, index, work, event);
    }
}

/* Describes the slot's segments as a transport exports its registered memory. */
static void fill_regions(struct sim *sim, uint32_t index, const struct sim_mapping *mapping,
                         struct message *message, struct message_region *regions,
                         uint8_t (*descriptors)[SIM_DESCRIPTOR_BYTES])
{
    for (uint32_t i = 0; i < mapping->count; i++) {
        store_le32(descriptors[i], index);
        store_le32(descriptors[i] + 4, sim->nodes[index].host.life);
        store_le32(descriptors[i] + 8, mapping->versions[i]);
        store_le16(descriptors[i] + 12, mapping->segments[i]);
        store_le16(descriptors[i] + 14, (uint16_t)mapping->wipes);
        regions[i] = (struct message_region){SIM_DESCRIPTOR_BYTES, descriptors[i]};
    }
    message->offer.region_count = mapping->count;
    message->offer.regions = regions;
}

/* What the arena keeps of the slot; a node in some is of before values were told, and a liar may
 * lie about them. */
static void fill_values(struct sim *sim, uint32_t index, const struct agent_outgoing *outgoing,
                        struct message *message)
{
    struct sim_slot *slot = &sim->nodes[index].slots[outgoing->attach_slot];
    static uint8_t told[SIM_CHUNKS_MAX * SIM_VALUE_BYTES];
    if (outgoing->values_key == DIGEST_KEY_ID_BLAKE3 ||
        slot->values_generation != message->offer.generation ||
        slot->values_key != outgoing->values_key || slot->values_bytes != message->offer.bytes ||
        (sim->seed + index) % 8 == 0) {
        return;
    }
    memcpy(told, slot->values, sizeof told);
    if (!sim->faults_over && sim->mix.liar == (int)index && sim_chance(sim, sim->mix.lie_ppm)) {
        told[0] ^= 0x5a;
        sim_fault(sim, FAULT_LIE);
    }
    message->offer.values = told;
    message->offer.values_bytes =
        (slot->values_bytes + SIM_CHUNK_BYTES - 1) / SIM_CHUNK_BYTES * SIM_VALUE_BYTES;
}

static void send(struct sim *sim, uint32_t index, const struct agent_outgoing *outgoing)
{
    struct sim_node *node = &sim->nodes[index];
    uint32_t link;
    uint32_t side = 0;
    if (outgoing->target == AGENT_TO_COORDINATOR) {
        if (!node->coordinator_link) {
            return;
        }
        link = node->coordinator_link - 1;
    } else if (!net_find(sim, END_NODE, index, outgoing->link, &link, &side)) {
        return;
    }
    struct message message = outgoing->message;
    struct sim_mapping mapping;
    bool is_prepared = outgoing->attach == ATTACH_PREPARED;
    bool mapped = outgoing->attach != ATTACH_NONE && !is_prepared &&
                  memory_map_slot(sim, index, outgoing->attach_slot, &mapping);
    if (is_prepared) {
        mapped = true;
        memory_map_segments(sim, index, message.prepare.segment_count, message.prepare.segments,
                            &mapping);
    }
    struct message_region regions[SIM_SHARD_SEGMENTS_MAX];
    uint8_t descriptors[SIM_SHARD_SEGMENTS_MAX][SIM_DESCRIPTOR_BYTES];
    if (mapped && outgoing->attach == ATTACH_REGIONS) {
        fill_regions(sim, index, &mapping, &message, regions, descriptors);
        fill_values(sim, index, outgoing, &message);
    }
    trace_message(sim, "node", index, "sends", sim->links[link].ends[side].link, &message);
    if (message.type != MESSAGE_NONE) {
        judge_agent_message(sim, index, &message);
        judge_room_message(sim, index, &sim->links[link].ends[1 - side], &message);
        if (outgoing->target == AGENT_TO_RANK) {
            judge_rank_message(sim, index, &sim->links[link].ends[1 - side], &message,
                               mapped ? &mapping : NULL);
        }
        if (is_prepared) {
            uint32_t job = sim->links[link].ends[1 - side].index / SIM_WORLD_MAX;
            memory_hand(sim, &mapping, sim->jobs[job].user);
        }
        net_send(sim, link, side, &message, outgoing->attach, mapped ? &mapping : NULL);
    }
    if (outgoing->close) {
        net_cut(sim, link);
    }
}

/* False when the process died on the way. */
static bool apply(struct sim *sim, uint32_t index, const struct agent_event *event)
{
    const struct agent_update *update = &sim->agent_update;
    struct sim_node *node = &sim->nodes[index];
    if (agent_epoch(node->machine) > node->epoch_stored) {
        if (host_crash_point(sim, index)) {
            return false;
        }
        node->epoch_stored = agent_epoch(node->machine);
        node->cluster_stored = agent_cluster(node->machine);
    }
    for (uint32_t i = 0; i < update->record_count; i++) {
        if (host_crash_point(sim, index)) {
            return false;
        }
        memory_store_record(sim, index, &update->records[i]);
    }
    for (uint32_t i = 0; i < update->work_count; i++) {
        if (host_crash_point(sim, index)) {
            return false;
        }
        start_work(sim, index, &update->works[i], event);
    }
    for (uint32_t i = 0; i < update->message_count; i++) {
        if (host_crash_point(sim, index)) {
            return false;
        }
        send(sim, index, &update->messages[i]);
    }
    for (uint32_t i = 0; i < update->note_count; i++) {
        sim_trace(sim, "node %u notes %s: %s", index, event_name(update->notes[i].event),
                  update->notes[i].text);
    }
    lateness_due(&sim->nodes[index].host.lateness, update->deadline_ms);
    host_arm_tick(sim, index, update->deadline_ms, update->again);
    return true;
}
