/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's machine among processes, peers and coordinators that lie. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "storm/storm.h"

#define RANKS 6
#define PEERS 3
#define WORKS 64
#define EPOCH 5
#define SEGMENT_BYTES 1000
#define LIFE_OF_COORDINATOR 2
#define LIFE_OF_PEER 16

struct storm {
    struct words *words;
    struct agent *machine;
    struct agent_update update;
    uint64_t now_ms;
    uint32_t ranks[RANKS]; /* their links */
    uint32_t uids[RANKS];
    struct message_seal granted[RANKS]; /* the last slot of each */
    bool hung_up[RANKS];                /* by the machine: its connection ends */
    uint32_t last_link;
    uint64_t works[WORKS]; /* that have not ended */
    uint32_t work_count;
    uint32_t work_link; /* of the last connection that was asked for */
    struct storm_result result;
};

static const enum message_type of_ranks[] = {
    MESSAGE_RANK_OPEN, MESSAGE_RANK_OPEN, MESSAGE_SLOT_ASK, MESSAGE_SLOT_ASK,       MESSAGE_SEAL,
    MESSAGE_SEAL,      MESSAGE_ABANDON,   MESSAGE_LOAD_ASK, MESSAGE_CHECKPOINT_ASK, MESSAGE_RELEASE,
    MESSAGE_JOB,       MESSAGE_GATHER,    MESSAGE_LOAD_ASK,
};
static const enum message_type of_coordinator[] = {
    MESSAGE_WELCOME,         MESSAGE_LEASE,        MESSAGE_SHARD_ACK,        MESSAGE_PULL_ORDER,
    MESSAGE_PULL_ORDER,      MESSAGE_VERIFY_ORDER, MESSAGE_CHECKPOINT_STATE, MESSAGE_LOAD_VERDICT,
    MESSAGE_SEAT_TOLD,       MESSAGE_SEAT_TOLD,    MESSAGE_LOAD_VERDICT,     MESSAGE_JOB_ACK,
    MESSAGE_CHECKPOINT_INFO,
};
static const enum message_type of_peers[] = {
    MESSAGE_OFFER_ASK, MESSAGE_OFFER, MESSAGE_OFFER, MESSAGE_OFFER_DONE, MESSAGE_OFFER_CLOSED,
};
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void note_rank(struct storm *storm, const struct agent_outgoing *out)
{
    for (uint32_t place = 0; place < RANKS; place++) {
        if (storm->ranks[place] != out->link) {
            continue;
        }
        const struct message_slot_granted *granted = &out->message.slot_granted;
        storm->hung_up[place] = storm->hung_up[place] || out->close;
        if (out->message.type == MESSAGE_SLOT_GRANTED && granted->status == CKPT_OK) {
            storm->granted[place] = (struct message_seal){
                .step = granted->step, .slot = granted->slot, .generation = granted->generation};
        }
    }
}

static void note_outputs(struct storm *storm)
{
    for (uint32_t i = 0; i < storm->update.message_count; i++) {
        const struct message *said = &storm->update.messages[i].message;
        if (storm->update.messages[i].target == AGENT_TO_RANK) {
            note_rank(storm, &storm->update.messages[i]);
        }
        words_hear(storm->words, said);
        storm->result.verdicts += said->type == MESSAGE_LOADED && said->loaded.status == CKPT_OK;
        storm->result.sealed += said->type == MESSAGE_SHARD_REPORT && said->shard_report.owner &&
                                said->shard_report.state == COPY_VERIFIED;
    }
    for (uint32_t i = 0; i < storm->update.work_count; i++) {
        const struct agent_work *work = &storm->update.works[i];
        storm->result.orders += work->type == AGENT_WORK_READ;
        if (work->work != 0) {
            assert(storm->work_count < WORKS);
            storm->works[storm->work_count++] = work->work;
        } else if (work->type == AGENT_WORK_PEER_CONNECT) {
            storm->work_link = work->link;
        }
    }
}

static void take(struct storm *storm, struct agent_event event)
{
    event.now_ms = storm->now_ms;
    enum ckpt_status status = agent_advance(storm->machine, &event, &storm->update);
    assert(status == CKPT_OK);
    (void)status;
    storm->result.events++;
    note_outputs(storm);
}

static void end_work(struct storm *storm)
{
    struct words *words = storm->words;
    struct agent_event event = {.type = AGENT_WORK_DONE};
    if (storm->work_count == 0 || words_one_in(words, 32)) {
        event.work = words_below(words, UINT32_MAX);
    } else {
        uint32_t at = (uint32_t)words_below(words, storm->work_count);
        event.work = storm->works[at];
        storm->works[at] = storm->works[--storm->work_count];
    }
    event.status = words_one_in(words, 8) ? CKPT_ERR_SYSTEM : CKPT_OK;
    memset(&event.digest, words_one_in(words, 16) ? 1 : 0, sizeof(event.digest));
    take(storm, event);
}

/* ---- what a process says ---- */

static void rank_sense(struct storm *storm, uint32_t place, struct message *message)
{
    struct words *words = storm->words;
    const struct message_seal *granted = &storm->granted[place];
    const struct message *loaded = words_recall(words, MESSAGE_LOADED);
    switch ((int)message->type) {
    case MESSAGE_RANK_OPEN:
        memset(message->rank_open.run, 0, sizeof(message->rank_open.run));
        message->rank_open.run[0] = (char)('a' + words_below(words, 2));
        message->rank_open.attempt = 1 + (uint32_t)words_below(words, 2);
        message->rank_open.world = RANKS;
        message->rank_open.rank = place;
        message->rank_open.copies = 2;
        message->rank_open.reader = words_one_in(words, 8);
        memset(&message->rank_open.seat, (int)(16 + place), sizeof(message->rank_open.seat));
        memset(&message->rank_open.start, 0, sizeof(message->rank_open.start));
        break;
    case MESSAGE_SLOT_ASK:
        message->slot_ask.bytes = 1 + words_below(words, 3 * SEGMENT_BYTES);
        message->slot_ask.step = 1 + words_below(words, 1000);
        break;
    case MESSAGE_SEAL:
    case MESSAGE_ABANDON:
        message->seal = *granted;
        break;
    case MESSAGE_GATHER:
        message->gather.step = granted->step;
        message->gather.slot = granted->slot;
        message->gather.generation = granted->generation;
        message->gather.number = 1 + (uint32_t)words_below(words, 2);
        break;
    case MESSAGE_LOAD_ASK:
        message->load_ask.step = CKPT_STEP_LATEST;
        message->load_ask.rank = (uint32_t)words_below(words, RANKS);
        message->load_ask.load = 1 + (uint32_t)words_below(words, 2);
        if (words_one_in(words, 2)) {
            message->load_ask.collective = false;
            message->load_ask.range_offset = words_below(words, SEGMENT_BYTES);
            message->load_ask.range_bytes = 1 + words_below(words, SEGMENT_BYTES / 10);
        }
        break;
    case MESSAGE_RELEASE:
        if (loaded != NULL) {
            message->release.slot = loaded->loaded.slot;
            message->release.generation = loaded->loaded.generation;
        }
        break;
    default:
        break;
    }
}

static void rank_connects(struct storm *storm, uint32_t place)
{
    storm->hung_up[place] = false;
    storm->ranks[place] = ++storm->last_link;
    storm->uids[place] =
        words_one_in(storm->words, 8) ? 0 : 1000 + (uint32_t)words_below(storm->words, 2);
    take(storm, (struct agent_event){
                    .type = AGENT_RANK_UP, .link = storm->ranks[place], .uid = storm->uids[place]});
    if (!words_one_in(storm->words, 8)) {
        struct message message = {.type = MESSAGE_RANK_OPEN};
        rank_sense(storm, place, &message);
        take(storm, (struct agent_event){.type = AGENT_RANK_MESSAGE,
                                         .link = storm->ranks[place],
                                         .message = &message});
    }
}

static void rank_speaks(struct storm *storm)
{
    struct words *words = storm->words;
    struct message message;
    uint32_t place = (uint32_t)words_below(words, RANKS);
    if (storm->hung_up[place] || words_one_in(words, 100)) {
        take(storm, (struct agent_event){.type = AGENT_RANK_DOWN, .link = storm->ranks[place]});
        rank_connects(storm, place);
        return;
    }
    bool any = words_one_in(words, 64);
    words_fill(words, words_type(words, of_ranks, any ? 0 : COUNT(of_ranks)), &message);
    if (!words_one_in(words, 16)) {
        rank_sense(storm, place, &message);
        words_spoil(words, &message, 100);
    }
    memset(&message.incarnation, 3, sizeof(message.incarnation));
    take(storm, (struct agent_event){
                    .type = AGENT_RANK_MESSAGE, .link = storm->ranks[place], .message = &message});
}

/* ---- what a coordinator says ---- */

static void report_sense(const struct message_shard_report *report, struct message *message)
{
    switch ((int)message->type) {
    case MESSAGE_SHARD_ACK:
        message->shard_ack.shard = report->shard;
        message->shard_ack.generation = report->generation;
        message->shard_ack.state = report->state;
        break;
    case MESSAGE_VERIFY_ORDER:
        message->verify_order.shard = report->shard;
        message->verify_order.generation = report->generation;
        break;
    case MESSAGE_CHECKPOINT_STATE:
        message->checkpoint_state.run = report->shard.run;
        message->checkpoint_state.attempt = report->shard.attempt;
        message->checkpoint_state.step = report->shard.step;
        break;
    default:
        break;
    }
}

/* A copy of the rank's shard of any step, as it was reported. */
static const struct shard_key *find_copy(const struct words *words, const struct run_key *run,
                                         uint32_t rank)
{
    const struct shard_key *found = NULL;
    for (uint32_t i = 0; i < WORDS_REMEMBERED; i++) {
        const struct message_shard_report *report = &words->heard[i].shard_report;
        if (words->heard[i].type == MESSAGE_SHARD_REPORT && report->state == COPY_VERIFIED &&
            report->shard.rank == rank && report->shard.run.uid == run->uid &&
            strcmp(report->shard.run.name, run->name) == 0) {
            found = &report->shard;
        }
    }
    return found;
}

/* That a peer has it. */
static void range_sense(struct words *words, const struct message_load_ask *ask,
                        struct message_load_verdict *verdict)
{
    uint32_t peer = (uint32_t)words_below(words, PEERS);
    verdict->status = CKPT_OK;
    verdict->shard = (struct shard_key){
        .run = ask->run, .attempt = 1, .step = 1 + words_below(words, 40), .rank = ask->rank};
    memset(&verdict->digest, 0, sizeof(verdict->digest));
    verdict->bytes = SEGMENT_BYTES;
    verdict->world = RANKS;
    verdict->key = (struct digest_key){.kind = DIGEST_KIND_FINGERPRINT};
    verdict->source_count = 1 + (uint32_t)words_below(words, 2);
    snprintf(verdict->source_node, sizeof(verdict->source_node), "n%u", peer);
    snprintf(verdict->source_address, sizeof(verdict->source_address), "127.0.0.1:%u", 7000 + peer);
    memset(&verdict->source_incarnation, (int)(LIFE_OF_PEER + peer),
           sizeof(verdict->source_incarnation));
    verdict->source_generation = 1 + words_below(words, 2);
}

static void verdict_sense(struct words *words, struct message_load_verdict *verdict)
{
    const struct message *asked = words_recall(words, MESSAGE_LOAD_ASK);
    if (asked == NULL) {
        return;
    }
    const struct message_load_ask *ask = &asked->load_ask;
    verdict->run = ask->run;
    verdict->attempt = ask->attempt;
    verdict->asking_rank = ask->asking_rank;
    verdict->collective = ask->collective;
    verdict->load = ask->load;
    verdict->reader = ask->reader;
    if (ask->range_bytes > 0 && !words_one_in(words, 4)) {
        range_sense(words, ask, verdict);
        return;
    }
    const struct shard_key *copy = find_copy(words, &ask->run, ask->rank);
    if (copy != NULL && !words_one_in(words, 4)) {
        verdict->status = CKPT_OK;
        verdict->shard = *copy;
    }
}

static void seat_sense(struct words *words, struct message_seat_told *told)
{
    const struct message *asked = words_recall(words, MESSAGE_SEAT_ASK);
    if (asked != NULL) {
        told->run = asked->seat_ask.run;
        told->rank = asked->seat_ask.rank;
        told->seat = asked->seat_ask.seat;
        told->ended = asked->seat_ask.ended;
        told->status = words_one_in(words, 16) ? told->status : CKPT_OK;
        told->attempt = asked->seat_ask.attempt != 0 ? asked->seat_ask.attempt
                                                     : 1 + (uint32_t)words_below(words, 2);
        memset(&told->start, (int)told->attempt, sizeof(told->start));
    }
}

static void order_sense(struct words *words, struct message_pull_order *order)
{
    order->shard.run.uid = 1000 + (uint32_t)words_below(words, 2);
    memset(order->shard.run.name, 0, sizeof(order->shard.run.name));
    order->shard.run.name[0] = (char)('a' + words_below(words, 2));
    order->shard.attempt = 1;
    order->shard.step = 1 + words_below(words, 40);
    order->shard.rank = (uint32_t)words_below(words, RANKS);
    order->world = RANKS;
    order->copies = 2;
    order->bytes = SEGMENT_BYTES;
    order->purpose = (enum pull_purpose)words_below(words, 3);
    uint32_t peer = (uint32_t)words_below(words, PEERS);
    snprintf(order->source_node, sizeof(order->source_node), "n%u", peer);
    snprintf(order->source_address, sizeof(order->source_address), "127.0.0.1:%u", 7000 + peer);
    memset(&order->source_incarnation, (int)(LIFE_OF_PEER + peer),
           sizeof(order->source_incarnation));
    order->source_generation = 1 + words_below(words, 2);
}

static void coordinator_speaks(struct storm *storm)
{
    struct words *words = storm->words;
    struct message message;
    if (words_one_in(words, 200)) {
        take(storm, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
        take(storm, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    }
    bool any = words_one_in(words, 64);
    words_fill(words, words_type(words, of_coordinator, any ? 0 : COUNT(of_coordinator)), &message);
    const struct message *report = words_recall(words, MESSAGE_SHARD_REPORT);
    if (!words_one_in(words, 16)) {
        if (message.type == MESSAGE_LOAD_VERDICT) {
            verdict_sense(words, &message.load_verdict);
        } else if (message.type == MESSAGE_SEAT_TOLD) {
            seat_sense(words, &message.seat_told);
        } else if (message.type == MESSAGE_PULL_ORDER) {
            order_sense(words, &message.pull_order);
        } else if (message.type == MESSAGE_WELCOME) {
            uint32_t features = WIRE_FEATURES | WIRE_FEATURE_FINGERPRINT | WIRE_FEATURE_RANGES;
            message.welcome =
                (struct message_welcome){.heartbeat_ms = 500,
                                         .lease_ms = 3000,
                                         .features = words_one_in(words, 2) ? features : 0};
        } else if (report != NULL) {
            report_sense(&report->shard_report, &message);
        }
        words_spoil(words, &message, 100);
    }
    message.epoch = words_one_in(words, 64) ? words_below(words, EPOCH) : EPOCH;
    uint32_t life =
        words_one_in(words, 200) ? (uint32_t)words_below(words, 256) : LIFE_OF_COORDINATOR;
    memset(&message.incarnation, (int)life, sizeof(message.incarnation));
    take(storm, (struct agent_event){.type = AGENT_COORDINATOR_MESSAGE, .message = &message});
}

/* ---- what a peer says ---- */

static void peer_sense(struct words *words, struct message *message)
{
    const struct message *asked = words_recall(words, MESSAGE_OFFER_ASK);
    const struct message *done = words_recall(words, MESSAGE_OFFER_DONE);
    const struct message *report = words_recall(words, MESSAGE_SHARD_REPORT);
    if (message->type == MESSAGE_OFFER && asked != NULL) {
        message->offer.pull = asked->offer_ask.pull;
        message->offer.status = words_one_in(words, 4) ? message->offer.status : CKPT_OK;
        message->offer.generation = asked->offer_ask.generation;
        message->offer.segment_bytes = SEGMENT_BYTES;
        message->offer.bytes = SEGMENT_BYTES;
        message->offer.region_count = 1;
        message->offer.values_bytes = words_one_in(words, 8) ? 0 : 16;
        message->incarnation = asked->offer_ask.source_incarnation;
    } else if (message->type == MESSAGE_OFFER_CLOSED && done != NULL) {
        message->offer_closed.pull = done->offer_done.pull;
        message->offer_closed.status = CKPT_OK;
    } else if (message->type == MESSAGE_OFFER_ASK && report != NULL) {
        message->offer_ask.shard = report->shard_report.shard;
        message->offer_ask.generation = report->shard_report.generation;
        memset(&message->offer_ask.source_incarnation, 1,
               sizeof(message->offer_ask.source_incarnation));
        message->offer_ask.pull = words_below(words, 8);
    } else if (message->type == MESSAGE_OFFER_DONE) {
        message->offer_done.pull = words_below(words, 8);
    }
}

static void peer_speaks(struct storm *storm)
{
    struct words *words = storm->words;
    struct message message;
    bool any = words_one_in(words, 64);
    words_fill(words, words_type(words, of_peers, any ? 0 : COUNT(of_peers)), &message);
    memset(&message.incarnation, (int)(LIFE_OF_PEER + words_below(words, PEERS)),
           sizeof(message.incarnation));
    if (!words_one_in(words, 16)) {
        peer_sense(words, &message);
        words_spoil(words, &message, 100);
    }
    bool made = message.type == MESSAGE_OFFER || message.type == MESSAGE_OFFER_CLOSED;
    uint32_t link = made && !words_one_in(words, 16) ? storm->work_link
                                                     : 1000 + (uint32_t)words_below(words, 3);
    if (words_one_in(words, 100)) {
        take(storm, (struct agent_event){.type = AGENT_PEER_DOWN, .link = link});
        return;
    }
    take(storm,
         (struct agent_event){.type = AGENT_PEER_MESSAGE, .link = link, .message = &message});
}

static void step(struct storm *storm)
{
    struct words *words = storm->words;
    switch (words_below(words, 8)) {
    case 0:
        storm->now_ms += words_below(words, words_one_in(words, 50) ? 100000 : 100);
        take(storm, (struct agent_event){.type = AGENT_TICK});
        break;
    case 1:
    case 2:
        end_work(storm);
        break;
    case 3:
    case 4:
        rank_speaks(storm);
        break;
    case 5:
    case 6:
        coordinator_speaks(storm);
        break;
    default:
        peer_speaks(storm);
        break;
    }
}

static void *begin(struct storm *storm)
{
    char reason[CKPT_REASON_MAX + 1];
    struct agent_config config;
    agent_config_default(&config);
    strcpy(config.node, "node");
    strcpy(config.domain, "domain");
    strcpy(config.address, "127.0.0.1:1");
    config.segment_bytes = SEGMENT_BYTES;
    config.segments = 16;
    config.slots = 16;
    config.ranks_max = 5;
    config.pulls_max = 2;
    size_t bytes = (agent_memory_bytes(&config, reason) + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, bytes);
    assert(memory != NULL);
    memset(memory, 0, bytes);
    struct incarnation own;
    memset(&own, 1, sizeof(own));
    enum ckpt_status status = agent_init(memory, bytes, &config, own, 1, &storm->machine);
    assert(status == CKPT_OK);
    (void)status;
    storm->now_ms = 1000;
    take(storm, (struct agent_event){.type = AGENT_ADOPT_END});
    take(storm, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    for (uint32_t i = 0; i < RANKS; i++) {
        rank_connects(storm, i);
    }
    return memory;
}

void storm_agent(struct words *words, uint64_t events, struct storm_result *result_out)
{
    struct storm *storm = calloc(1, sizeof(*storm));
    assert(storm != NULL);
    storm->words = words;
    void *memory = begin(storm);
    while (storm->result.events < events && words_last(words)) {
        step(storm);
    }
    *result_out = storm->result;
    free(memory);
    free(storm);
}
