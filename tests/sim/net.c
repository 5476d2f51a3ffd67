/* SPDX-License-Identifier: Apache-2.0 */
/* Connections. Between hosts they lose, repeat, delay and reorder; between a rank and its agent,
 * which is a UNIX socket, they keep order and lose nothing. Either end may die at any time.
 *
 * Messages are copied, never shared; one seed in some also passes each through the real codec. */
#include <stdlib.h>
#include <string.h>

#include "hosts.h"
#include "wire/message_codec.h"

#define FRAME_BYTES 16384

struct parcel *parcel_new(enum parcel_type type)
{
    struct parcel *parcel = malloc(sizeof *parcel);
    if (!parcel) {
        abort();
    }
    memset(parcel, 0, sizeof *parcel);
    parcel->type = type;
    return parcel;
}

void parcel_free(struct parcel *parcel)
{
    free(parcel);
}

uint32_t end_host(const struct sim_end *end)
{
    return end->type == END_RULER ? SIM_NODES_MAX + end->index : end->index;
}

static struct sim_rank *rank_of_end(struct sim *sim, const struct sim_end *end)
{
    return &sim->jobs[end->index / SIM_WORLD_MAX].ranks[end->index % SIM_WORLD_MAX];
}

bool net_end_is_live(struct sim *sim, uint32_t link, uint32_t side)
{
    const struct sim_end *end = &sim->links[link].ends[side];
    if (!end->open) {
        return false;
    }
    if (end->type == END_RANK) {
        const struct sim_rank *rank = rank_of_end(sim, end);
        return rank->phase != RANK_OFF && rank->process == end->life;
    }
    if (end->type == END_HOOK) {
        return true;
    }
    const struct sim_host *host = host_at(sim, end_host(end));
    return host->alive && host->life == end->life;
}

uint32_t net_connect(struct sim *sim, struct sim_end from, struct sim_end to)
{
    if (sim->link_count == sim->link_room) {
        sim->link_room = sim->link_room ? 2 * sim->link_room : 256;
        sim->links = realloc(sim->links, sim->link_room * sizeof *sim->links);
        if (!sim->links) {
            abort();
        }
    }
    uint32_t link = sim->link_count++;
    sim->links[link] = (struct sim_link){.ends = {from, to}};
    sim->links[link].ends[0].open = true;
    sim->links[link].ends[1].open = true;
    return link;
}

bool net_find(struct sim *sim, enum end_type type, uint32_t index, uint32_t number,
              uint32_t *link_out, uint32_t *side_out)
{
    for (uint32_t link = sim->link_count; link-- > 0;) {
        for (uint32_t side = 0; side < 2; side++) {
            const struct sim_end *end = &sim->links[link].ends[side];
            if (end->open && end->type == type && end->index == index && end->link == number &&
                net_end_is_live(sim, link, side)) {
                *link_out = link;
                *side_out = side;
                return true;
            }
        }
    }
    return false;
}

static bool is_local(const struct sim_link *link)
{
    return link->ends[0].type == END_HOOK || link->ends[0].type == END_RANK ||
           link->ends[1].type == END_RANK;
}

/* Queues the parcel; local ones never overtake. */
static void dispatch(struct sim *sim, struct parcel *parcel, uint64_t delay_ms)
{
    struct sim_link *link = &sim->links[parcel->link];
    struct sim_end *to = &link->ends[parcel->side];
    uint64_t at = sim->now_ms + delay_ms;
    if (is_local(link)) {
        at = sim->now_ms + sim_between(sim, 0, 1);
    }
    if (is_local(link) || sim->faults_over || sim->mix.only_restarts) {
        if (at < to->last_arrival_ms) {
            at = to->last_arrival_ms;
        }
        to->last_arrival_ms = at;
    }
    sim_later(sim, at - sim->now_ms, TURN_PARCEL, parcel->link, 0, 0, parcel);
}

/* A copy whose pointers lead into itself. */
static struct parcel *copy_message(const struct message *message, enum agent_attach attach,
                                   const struct sim_mapping *attached)
{
    struct parcel *parcel = parcel_new(PARCEL_MESSAGE);
    parcel->message = *message;
    parcel->attach = attach;
    if (attached) {
        parcel->attached = *attached;
    }
    if (message->type == MESSAGE_SLOT_GRANTED) {
        struct message_slot_granted *granted = &parcel->message.slot_granted;
        for (uint32_t i = 0; i < granted->segment_count && i < SIM_SHARD_SEGMENTS_MAX; i++) {
            parcel->segments[i] = granted->segments[i];
        }
        granted->segments = parcel->segments;
    } else if (message->type == MESSAGE_PREPARE) {
        struct message_prepare *prepare = &parcel->message.prepare;
        for (uint32_t i = 0; i < prepare->segment_count && i < SIM_SHARD_SEGMENTS_MAX; i++) {
            parcel->segments[i] = prepare->segments[i];
        }
        prepare->segments = parcel->segments;
    } else if (message->type == MESSAGE_GATHER) {
        struct message_gather *gather = &parcel->message.gather;
        gather->range_count = gather->range_count > 0;
        if (gather->range_count > 0) {
            parcel->range = gather->ranges[0];
        }
        gather->ranges = &parcel->range;
    } else if (message->type == MESSAGE_OFFER) {
        struct message_offer *offer = &parcel->message.offer;
        for (uint32_t i = 0; i < offer->region_count && i < SIM_SHARD_SEGMENTS_MAX; i++) {
            memcpy(parcel->descriptors[i], offer->regions[i].descriptor, SIM_DESCRIPTOR_BYTES);
            parcel->regions[i].bytes = SIM_DESCRIPTOR_BYTES;
            parcel->regions[i].descriptor = parcel->descriptors[i];
        }
        offer->regions = parcel->regions;
        if (offer->values_bytes > 0) {
            memcpy(parcel->values, offer->values, offer->values_bytes);
        }
        offer->values = parcel->values;
        offer->worker_address = NULL;
        offer->worker_address_bytes = 0;
    }
    return parcel;
}

static uint32_t draw_delay(struct sim *sim)
{
    if (sim->faults_over) {
        return sim_between(sim, 0, 3);
    }
    uint32_t delay = sim_between(sim, 0, sim->mix.delay_max_ms);
    if (delay > 20) {
        sim_fault(sim, FAULT_DELAY);
    }
    return delay;
}

/* The message as the other side's decoder reads it: a seed in some sends frames and no structs.
 * False when the encoder refuses it, which only an odd rank's message may meet. */
static bool pass_codec(struct sim *sim, struct message *message)
{
    static uint8_t frame[FRAME_BYTES];
    static uint8_t memory[MESSAGE_SCRATCH_BYTES(FRAME_BYTES)];
    static struct message_scratch scratch;
    struct message decoded;
    size_t bytes;
    char reason[CKPT_REASON_MAX + 1] = "";
    if (message_encode(message, frame, sizeof frame, &bytes) != CKPT_OK) {
        (void)message_check(message, reason);
        if (!sim->mix.odd_ranks) {
            sim_violation(sim, "%s cannot be encoded: %s", message_type_name(message->type),
                          reason);
        }
        return false;
    }
    message_scratch_init(&scratch, memory, sizeof memory);
    if (message_decode(frame, bytes, &scratch, &decoded) != CKPT_OK) {
        sim_violation(sim, "%s cannot be decoded: %s", message_type_name(message->type),
                      scratch.reason);
        return false;
    }
    *message = decoded;
    return true;
}

void net_send(struct sim *sim, uint32_t link_index, uint32_t side, const struct message *message,
              enum agent_attach attach, const struct sim_mapping *attached)
{
    struct sim_link *link = &sim->links[link_index];
    const struct sim_end *from = &link->ends[side];
    struct message sent = *message;
    uint64_t *sequence;
    if (from->type == END_RANK) {
        struct sim_rank *rank = rank_of_end(sim, from);
        sequence = &rank->sequence;
        sent.incarnation = rank->incarnation;
    } else {
        struct sim_host *host = host_at(sim, end_host(from));
        sequence = &host->sequence;
        sent.incarnation = host->incarnation;
    }
    sent.sequence = ++*sequence;
    sim->stats.messages++;
    bool local = is_local(link);
    if (!local && !sim->faults_over && sim_chance(sim, sim->mix.loss_ppm)) {
        sim_fault(sim, FAULT_LOSS);
        trace_message(sim, "end", from->index, "loses", from->link, &sent);
        return;
    }
    uint32_t count = 1;
    if (!local && !sim->faults_over && sim_chance(sim, sim->mix.repeat_ppm)) {
        sim_fault(sim, FAULT_REPEAT);
        count += sim_between(sim, 1, 2);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && sim->mix.unfiltered_repeats) {
            sent.sequence = ++*sequence;
        }
        struct message passed = sent;
        if (sim->mix.through_codec && !pass_codec(sim, &passed)) {
            return;
        }
        struct parcel *parcel = copy_message(&passed, attach, attached);
        parcel->link = link_index;
        parcel->side = 1 - side;
        dispatch(sim, parcel, draw_delay(sim) + i * sim_between(sim, 0, 30));
    }
}

/* Connects, says it and hangs up; all of it arrives at once: an agent that hung finds it then. */
void net_say_once(struct sim *sim, struct sim_end from, struct sim_end to,
                  const struct message *message, uint64_t delay_ms)
{
    uint32_t link = net_connect(sim, from, to);
    static const enum parcel_type types[] = {PARCEL_UP, PARCEL_MESSAGE, PARCEL_DOWN};
    for (uint32_t i = 0; i < 3; i++) {
        struct parcel *parcel = types[i] == PARCEL_MESSAGE
                                    ? copy_message(message, ATTACH_NONE, NULL)
                                    : parcel_new(types[i]);
        parcel->link = link;
        parcel->side = 1;
        sim_later(sim, delay_ms + i, TURN_PARCEL, link, 0, 0, parcel);
    }
    sim->stats.messages++;
}

/* Whether what leaves a now reaches b now. */
static bool is_cut(struct sim *sim, const struct sim_link *link, uint32_t to_side)
{
    uint32_t from = end_host(&link->ends[1 - to_side]);
    uint32_t to = end_host(&link->ends[to_side]);
    return !is_local(link) && sim->cut[from][to] > 0;
}

void net_close(struct sim *sim, uint32_t link_index, uint32_t side)
{
    struct sim_link *link = &sim->links[link_index];
    link->ends[side].open = false;
    if (!link->ends[1 - side].open) {
        return;
    }
    struct parcel *parcel = parcel_new(PARCEL_DOWN);
    parcel->link = link_index;
    parcel->side = 1 - side;
    dispatch(sim, parcel, sim->mix.delay_max_ms + sim_between(sim, 1, 20));
}

void net_cut(struct sim *sim, uint32_t link)
{
    for (uint32_t side = 0; side < 2; side++) {
        struct parcel *parcel = parcel_new(PARCEL_DOWN);
        parcel->link = link;
        parcel->side = side;
        dispatch(sim, parcel, sim_between(sim, 0, 40));
    }
}

void net_close_all(struct sim *sim, enum end_type type, uint32_t index)
{
    for (uint32_t link = 0; link < sim->link_count; link++) {
        for (uint32_t side = 0; side < 2; side++) {
            const struct sim_end *end = &sim->links[link].ends[side];
            if (end->open && end->type == type && end->index == index) {
                net_close(sim, link, side);
            }
        }
    }
}

/* A coordinator's message that was sent on a connection which the agent has left since. No TCP
 * would deliver it; an agent must stand it all the same, for its epoch says what it is. */
bool net_is_late(struct sim *sim, const struct parcel *parcel)
{
    const struct sim_link *link = &sim->links[parcel->link];
    const struct sim_end *to = &link->ends[parcel->side];
    if (!sim->mix.late_links || parcel->type != PARCEL_MESSAGE || to->type != END_NODE ||
        link->ends[1 - parcel->side].type != END_RULER) {
        return false;
    }
    const struct sim_node *node = &sim->nodes[to->index];
    return node->host.alive && node->host.life == to->life && node->coordinator_link &&
           node->coordinator_up;
}

static void arrive_at_end(struct sim *sim, struct parcel *parcel)
{
    struct sim_link *link = &sim->links[parcel->link];
    struct sim_end *to = &link->ends[parcel->side];
    if (!net_end_is_live(sim, parcel->link, parcel->side) && !net_is_late(sim, parcel)) {
        parcel_free(parcel);
        return;
    }
    uint32_t from_host = end_host(&link->ends[1 - parcel->side]);
    if (!is_local(link) && sim->clog[from_host][end_host(to)] > 0) {
        sim_later(sim, sim_between(sim, 20, 80), TURN_PARCEL, parcel->link, 0, 0, parcel);
        return;
    }
    if (is_cut(sim, link, parcel->side)) {
        /* A closed connection is noticed in spite of all, by a keep-alive. */
        if (parcel->type == PARCEL_DOWN) {
            sim_later(sim, sim_between(sim, 500, 1500), TURN_PARCEL, parcel->link, 1, 0, parcel);
        } else {
            parcel_free(parcel);
        }
        return;
    }
    if (to->type == END_HOOK) {
        parcel_free(parcel); /* what it is answered is of no use to it */
    } else if (to->type == END_RANK) {
        rank_take(sim, to->index, parcel);
        parcel_free(parcel);
    } else {
        host_take(sim, end_host(to), parcel);
    }
}

void net_arrive(struct sim *sim, struct parcel *parcel)
{
    if (parcel->type == PARCEL_MESSAGE || parcel->type == PARCEL_UP ||
        parcel->type == PARCEL_DOWN) {
        arrive_at_end(sim, parcel);
        return;
    }
    const struct sim_host *host = host_at(sim, parcel->host);
    if (!host->alive || host->life != parcel->life) {
        parcel_free(parcel);
        return;
    }
    host_take(sim, parcel->host, parcel);
}
