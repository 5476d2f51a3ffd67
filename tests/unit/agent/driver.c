/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/agent/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct incarnation life(uint8_t number)
{
    struct incarnation incarnation = {{number}};
    return incarnation;
}

struct digest digest_of(uint8_t fill)
{
    struct digest digest;
    memset(digest.bytes, fill, sizeof(digest.bytes));
    return digest;
}

struct shard_key key_of(uint32_t uid, uint64_t step, uint32_t rank)
{
    struct shard_key key = {.run = {uid, "llama"}, .attempt = 1, .step = step, .rank = rank};
    return key;
}

void driver_config(struct driver *d)
{
    memset(d, 0, sizeof(*d));
    agent_config_default(&d->config);
    strcpy(d->config.node, "n1");
    strcpy(d->config.domain, "rack1");
    strcpy(d->config.address, "n1:7000");
    d->config.segment_bytes = SEGMENT;
    d->config.segments = 8;
    d->config.slots = 8;
    d->config.ranks_max = 4;
    d->config.pulls_max = 2;
    d->now_ms = 1000;
}

static void make(struct driver *d)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    size_t bytes = agent_memory_bytes(&d->config, reason);
    assert_true(bytes > 0);
    assert_null(d->memory);
    d->memory = machine_memory(bytes);
    assert_int_equal(agent_init(d->memory, bytes, &d->config, life(LIFE_OF_AGENT), 5, &d->agent),
                     CKPT_OK);
    memset(&d->update, 0xa5, sizeof(d->update)); /* what is read must have been written */
}

int driver_setup(void **state)
{
    *state = calloc(1, sizeof(struct driver));
    return *state != NULL ? 0 : -1;
}

int driver_teardown(void **state)
{
    driver_stop(*state);
    free(*state);
    return 0;
}

void driver_begin(struct driver *d)
{
    if (d->config.segments == 0) {
        driver_config(d);
    }
    make(d);
}

void driver_start(struct driver *d)
{
    driver_begin(d);
    driver_event(d, (struct agent_event){.type = AGENT_ADOPT_END});
}

void driver_stop(struct driver *d)
{
    free(d->memory);
    memset(d, 0, sizeof(*d));
}

void driver_event(struct driver *d, struct agent_event event)
{
    event.now_ms = d->now_ms;
    assert_int_equal(agent_advance(d->agent, &event, &d->update), CKPT_OK);
    for (uint32_t i = 0; i < d->update.message_count; i++) {
        const struct agent_outgoing *out = &d->update.messages[i];
        if (out->message.type == MESSAGE_SEAT_ASK && d->seat_count < DRIVER_SEATS_MAX) {
            d->seats[d->seat_count++] = out->message.seat_ask;
        }
    }
}

void driver_seats(struct driver *d)
{
    while (d->seat_count > 0) {
        const struct message_seat_ask asked = d->seats[--d->seat_count];
        const struct message_seat_ask *ask = &asked;
        struct message told = {.type = MESSAGE_SEAT_TOLD,
                               .seat_told = {.run = ask->run,
                                             .rank = ask->rank,
                                             .seat = ask->seat,
                                             .ended = ask->ended,
                                             .attempt = ask->ended ? 0 : ask->attempt,
                                             .start = ask->start}};
        driver_coordinator(d, told);
    }
}

void driver_tick(struct driver *d, uint64_t later_ms)
{
    d->now_ms += later_ms;
    driver_event(d, (struct agent_event){.type = AGENT_TICK});
}

void driver_settle(struct driver *d)
{
    for (int i = 0; i < 1000 && d->update.again; i++) {
        driver_tick(d, 0);
    }
    assert_false(d->update.again);
}

void driver_work(struct driver *d, uint64_t work, enum ckpt_status status, uint8_t digest)
{
    driver_event(d, (struct agent_event){.type = AGENT_WORK_DONE,
                                         .work = work,
                                         .status = status,
                                         .digest = digest_of(digest)});
}

void driver_coordinator(struct driver *d, struct message message)
{
    if (incarnation_is_zero(&message.incarnation)) {
        message.incarnation = life(LIFE_OF_COORDINATOR);
    }
    if (message.epoch == 0) {
        message.epoch = EPOCH;
    }
    if (message.type == MESSAGE_WELCOME && nonce_is_zero(&message.welcome.cluster)) {
        message.welcome.cluster = (struct nonce){{CLUSTER}};
        message.welcome.features |= WIRE_FEATURE_STARTS;
    }
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_MESSAGE, .message = &message});
}

void driver_join_saying(struct driver *d, uint32_t features)
{
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    assert_non_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOIN));
    struct message welcome = {
        .type = MESSAGE_WELCOME,
        .welcome = {.heartbeat_ms = 1000, .lease_ms = 5000, .features = features}};
    driver_coordinator(d, welcome);
    driver_seats(d);
    driver_settle(d);
}

void driver_join(struct driver *d)
{
    driver_join_saying(d, 0);
}

void driver_join_told_keys(struct driver *d)
{
    driver_join_saying(d, WIRE_FEATURE_FINGERPRINT);
}

void driver_checkpoint(struct driver *d, uint64_t step, enum checkpoint_state state)
{
    struct message message = {.type = MESSAGE_CHECKPOINT_STATE};
    message.checkpoint_state.run = key_of(ALICE, step, 0).run;
    message.checkpoint_state.attempt = 1;
    message.checkpoint_state.step = step;
    message.checkpoint_state.world = 4;
    message.checkpoint_state.state = state;
    driver_coordinator(d, message);
}

void driver_ack(struct driver *d, uint32_t slot, bool keep, enum checkpoint_state checkpoint)
{
    struct agent_slot_view view = driver_slot(d, slot);
    struct message message = {.type = MESSAGE_SHARD_ACK};
    message.shard_ack.shard = view.shard;
    message.shard_ack.generation = view.generation;
    message.shard_ack.state = view.state == SLOT_VERIFIED  ? COPY_VERIFIED
                              : view.state == SLOT_ADOPTED ? COPY_ADOPTED
                              : view.state == SLOT_SEALED  ? COPY_SEALED
                                                           : COPY_NONE;
    message.shard_ack.checkpoint = checkpoint;
    message.shard_ack.keep = keep;
    message.shard_ack.status = keep ? CKPT_OK : CKPT_ERR_STEP;
    strcpy(message.shard_ack.reason, keep ? "" : "too late");
    driver_coordinator(d, message);
}

void driver_rank_says(struct driver *d, uint32_t link, struct message message)
{
    message.incarnation = life((uint8_t)(100 + link));
    driver_event(
        d, (struct agent_event){.type = AGENT_RANK_MESSAGE, .link = link, .message = &message});
}

void driver_rank(struct driver *d, uint32_t link, uint32_t uid, uint32_t rank)
{
    driver_event(d, (struct agent_event){.type = AGENT_RANK_UP, .link = link, .uid = uid});
    struct message open = {.type = MESSAGE_RANK_OPEN,
                           .rank_open = {.run = "llama", .attempt = 1, .rank = rank, .world = 4}};
    open.rank_open.seat = (struct nonce){{1, (uint8_t)rank, (uint8_t)uid}};
    open.rank_open.start = (struct nonce){{2}};
    open.rank_open.takes_parts = d->takes_parts;
    driver_rank_says(d, link, open);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_RANK_OPENED);
    assert_non_null(out);
    assert_int_equal(out->message.rank_opened.status, CKPT_OK);
    driver_seats(d);
}

const struct message_slot_granted *driver_ask(struct driver *d, uint32_t link, uint64_t step,
                                              uint64_t bytes)
{
    struct message ask = {.type = MESSAGE_SLOT_ASK, .slot_ask = {step, bytes}};
    driver_rank_says(d, link, ask);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SLOT_GRANTED);
    return out != NULL ? &out->message.slot_granted : NULL;
}

void driver_seal(struct driver *d, uint32_t link, uint64_t step, uint32_t slot, uint64_t generation)
{
    struct message seal = {.type = MESSAGE_SEAL, .seal = {step, slot, generation}};
    driver_rank_says(d, link, seal);
}

uint32_t driver_save(struct driver *d, uint32_t link, uint64_t step, uint64_t bytes)
{
    const struct message_slot_granted *granted = driver_ask(d, link, step, bytes);
    assert_non_null(granted);
    assert_int_equal(granted->status, CKPT_OK);
    uint32_t slot = granted->slot;
    driver_seal(d, link, step, slot, granted->generation);
    const struct agent_work *work = driver_works(d, AGENT_WORK_DIGEST);
    assert_non_null(work);
    assert_int_equal(work->slot, slot);
    driver_work(d, work->work, CKPT_OK, (uint8_t)step);
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    return slot;
}

struct message driver_order(struct driver *d, uint64_t step, uint32_t rank, uint64_t bytes)
{
    struct message message = {.type = MESSAGE_PULL_ORDER};
    struct message_pull_order *order = &message.pull_order;
    order->order = ++d->orders;
    order->shard = key_of(ALICE, step, rank);
    order->world = 4;
    order->copies = 2;
    order->bytes = bytes;
    strcpy(order->source_node, "n2");
    strcpy(order->source_address, "n2:7000");
    order->source_incarnation = life(LIFE_OF_PEER);
    order->source_generation = 40 + step;
    return message;
}

void driver_peer(struct driver *d, uint32_t link, struct message message)
{
    if (incarnation_is_zero(&message.incarnation)) {
        message.incarnation = life(LIFE_OF_PEER);
    }
    driver_event(
        d, (struct agent_event){.type = AGENT_PEER_MESSAGE, .link = link, .message = &message});
}

uint32_t driver_pull(struct driver *d, uint64_t step, uint32_t rank, uint64_t bytes)
{
    struct message order = driver_order(d, step, rank, bytes);
    driver_coordinator(d, order);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK);
    assert_non_null(out);
    uint32_t link = out->link;
    uint64_t pull = out->message.offer_ask.pull;
    struct message offer = {.type = MESSAGE_OFFER};
    offer.offer.pull = pull;
    offer.offer.slot = 3;
    offer.offer.generation = 40 + step;
    offer.offer.bytes = bytes;
    uint64_t segment_bytes = d->config.segment_bytes;
    offer.offer.segment_bytes = segment_bytes;
    offer.offer.region_count = (uint32_t)((bytes + segment_bytes - 1) / segment_bytes);
    driver_peer(d, link, offer);
    const struct agent_work *read = driver_works(d, AGENT_WORK_READ);
    assert_non_null(read);
    driver_work(d, read->work, CKPT_OK, (uint8_t)step);
    assert_non_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_DONE));
    struct message closed = {.type = MESSAGE_OFFER_CLOSED, .offer_closed = {pull, CKPT_OK}};
    driver_peer(d, link, closed);
    struct shard_key key = key_of(ALICE, step, rank);
    uint32_t slot = driver_find(d, &key);
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    return slot;
}

const struct agent_outgoing *driver_said(const struct driver *d, enum agent_target target,
                                         enum message_type type)
{
    for (uint32_t i = 0; i < d->update.message_count; i++) {
        const struct agent_outgoing *out = &d->update.messages[i];
        if (out->target == target && out->message.type == type) {
            return out;
        }
    }
    return NULL;
}

uint32_t driver_said_count(const struct driver *d, enum message_type type)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < d->update.message_count; i++) {
        count += d->update.messages[i].message.type == type;
    }
    return count;
}

const struct agent_work *driver_works(const struct driver *d, enum agent_work_type type)
{
    for (uint32_t i = 0; i < d->update.work_count; i++) {
        if (d->update.works[i].type == type) {
            return &d->update.works[i];
        }
    }
    return NULL;
}

uint32_t driver_works_count(const struct driver *d, enum agent_work_type type)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < d->update.work_count; i++) {
        count += d->update.works[i].type == type;
    }
    return count;
}

const struct slot_record *driver_stored(const struct driver *d, uint32_t slot)
{
    const struct slot_record *last = NULL;
    for (uint32_t i = 0; i < d->update.record_count; i++) {
        last = d->update.records[i].slot == slot ? &d->update.records[i] : last;
    }
    return last;
}

const struct machine_note *driver_noted(const struct driver *d, enum event_id event)
{
    for (uint32_t i = 0; i < d->update.note_count; i++) {
        if (d->update.notes[i].event == event) {
            return &d->update.notes[i];
        }
    }
    return NULL;
}

bool driver_silent(const struct driver *d)
{
    uint32_t of_seats =
        driver_said_count(d, MESSAGE_SEAT_ASK) + driver_said_count(d, MESSAGE_RANK_SEATED);
    return d->update.record_count == 0 && d->update.work_count == 0 &&
           d->update.message_count == of_seats;
}

struct agent_slot_view driver_slot(const struct driver *d, uint32_t slot)
{
    struct agent_slot_view view;
    assert_true(agent_slot_view(d->agent, slot, &view));
    return view;
}

uint32_t driver_find(const struct driver *d, const struct shard_key *shard)
{
    for (uint32_t i = 0; i < d->config.slots; i++) {
        struct agent_slot_view view = driver_slot(d, i);
        if (view.state != SLOT_FREE && !view.doomed && view.shard.step == shard->step &&
            view.shard.rank == shard->rank && view.shard.run.uid == shard->run.uid) {
            return i;
        }
    }
    return UINT32_MAX;
}
