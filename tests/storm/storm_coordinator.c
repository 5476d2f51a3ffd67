/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's machine among agents that lie, and strangers. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/coordinator.h"
#include "storm/storm.h"

#define LINKS 6
#define EPOCH 5

struct storm {
    struct words *words;
    struct coordinator *machine;
    struct coordinator_update update;
    uint64_t now_ms;
    struct digest_secret secret; /* of the run that begins next */
    struct storm_result result;
};

static const enum message_type inbound[] = {
    MESSAGE_HEARTBEAT, MESSAGE_SHARD_REPORT,   MESSAGE_SHARD_REPORT, MESSAGE_SHARD_REPORT,
    MESSAGE_LOAD_ASK,  MESSAGE_CHECKPOINT_ASK, MESSAGE_PULL_FAILED,  MESSAGE_JOB_REPORT,
    MESSAGE_NEED,      MESSAGE_SEAT_ASK,       MESSAGE_SEAT_ASK,     MESSAGE_JOIN,
    MESSAGE_LOAD_ASK,
};

static void take(struct storm *storm, struct coordinator_event *event)
{
    event->now_ms = storm->now_ms;
    event->secret = &storm->secret;
    enum ckpt_status status = coordinator_advance(storm->machine, event, &storm->update);
    assert(status == CKPT_OK);
    (void)status;
    storm->result.events++;
    storm->secret.bytes[0] += storm->update.secret_used;
    for (uint32_t i = 0; i < storm->update.message_count; i++) {
        const struct message *said = &storm->update.messages[i].message;
        words_hear(storm->words, said);
        storm->result.orders += said->type == MESSAGE_PULL_ORDER;
        storm->result.verdicts +=
            said->type == MESSAGE_LOAD_VERDICT && said->load_verdict.status == CKPT_OK;
        storm->result.restores += said->type == MESSAGE_LOAD_VERDICT &&
                                  said->load_verdict.status == CKPT_OK &&
                                  said->load_verdict.collective;
    }
    for (uint32_t i = 0; i < storm->update.record_count; i++) {
        storm->result.commits += storm->update.records[i].type == RECORD_CONSISTENT;
    }
}

static void be_someone(uint32_t link, struct message_join *join)
{
    join->protocol = WIRE_PROTOCOL_VERSION;
    snprintf(join->node, sizeof(join->node), "n%u", link);
    snprintf(join->domain, sizeof(join->domain), "d%u", link % 4);
    snprintf(join->address, sizeof(join->address), "127.0.0.1:%u", 7000 + link);
    join->segment_bytes = 4096;
    join->segments = 32;
    join->segments_free = 32;
    join->features |= WIRE_FEATURE_FINGERPRINT;
}

/* Runs differ in their worlds, and mostly stay with them. */
static uint32_t world_of(struct words *words, const struct run_key *run)
{
    return words_one_in(words, 16) ? 1 + (uint32_t)words_below(words, 3)
                                   : 1 + (run->name[0] != 'a');
}

/* The key that was last told of the run, or any other. */
static uint64_t key_of(struct words *words, const struct run_key *run)
{
    const struct message *told = words_recall(words, MESSAGE_SEAT_TOLD);
    const struct message *ack = words_recall(words, MESSAGE_SHARD_ACK);
    if (ack != NULL && run_key_equal(&ack->shard_ack.shard.run, run) &&
        ack->shard_ack.key.kind != DIGEST_KIND_UNKNOWN) {
        return digest_key_id(&ack->shard_ack.key);
    }
    return told == NULL ? words_below(words, 2) : digest_key_id(&told->seat_told.key);
}

/* A shard that a rank of a world of two may save. */
static void save_something(struct words *words, struct message_shard_report *r)
{
    r->shard.run.uid = 1000 + (uint32_t)words_below(words, 2);
    memset(r->shard.run.name, 0, sizeof(r->shard.run.name));
    r->shard.run.name[0] = (char)('a' + words_below(words, 3));
    r->shard.attempt = 1 + (uint32_t)words_below(words, 2);
    r->shard.step = 1 + words_below(words, 40);
    r->world = world_of(words, &r->shard.run);
    r->shard.rank = (uint32_t)words_below(words, r->world);
    r->copies = 1 + (uint32_t)words_below(words, 2);
    r->bytes = 4096;
    r->generation = r->shard.step;
    r->state = words_one_in(words, 2) ? COPY_SEALED : COPY_VERIFIED;
    r->owner = true;
    r->cached = false;
    r->changed = false;
    memset(&r->digest, (int)r->shard.rank, sizeof(r->digest));
    r->digest_key = key_of(words, &r->shard.run);
}

static void answer_order(struct words *words, struct message_shard_report *r)
{
    const struct message *order =
        words_recall(words, words_one_in(words, 3) ? MESSAGE_VERIFY_ORDER : MESSAGE_PULL_ORDER);
    if (order == NULL) {
        return;
    }
    bool pulled = order->type == MESSAGE_PULL_ORDER;
    r->shard = pulled ? order->pull_order.shard : order->verify_order.shard;
    r->order = pulled ? order->pull_order.order : order->verify_order.order;
    r->world = pulled ? order->pull_order.world : r->shard.rank + 1;
    r->copies = pulled ? order->pull_order.copies : 2;
    r->bytes = 4096;
    r->generation = pulled ? 1 + words_below(words, 4) : order->verify_order.generation;
    r->state = COPY_VERIFIED;
    r->owner = false;
    r->cached = pulled && order->pull_order.purpose == PULL_FETCH;
    r->changed = false;
    memset(&r->digest, (int)r->shard.rank, sizeof(r->digest));
    r->digest_key = digest_key_id(pulled ? &order->pull_order.key : &order->verify_order.key);
    r->digest_key += words_one_in(words, 16);
}

/* Of a rank, of the attempt's start, as both are named here. */
static struct nonce named(uint32_t attempt, uint32_t rank)
{
    struct nonce nonce;
    memset(&nonce, (int)(1 + attempt * 16 + rank), sizeof(nonce));
    return nonce;
}

static void sit_down(struct words *words, struct message_seat_ask *ask)
{
    memset(ask->run.name, 0, sizeof(ask->run.name));
    ask->run.uid = 1000 + (uint32_t)words_below(words, 2);
    ask->run.name[0] = (char)('a' + words_below(words, 3));
    ask->attempt = words_one_in(words, 4) ? 0 : 1 + (uint32_t)words_below(words, 2);
    ask->world = world_of(words, &ask->run);
    ask->rank = (uint32_t)words_below(words, ask->world);
    ask->start = words_one_in(words, 2) ? named(ask->attempt, 15) : (struct nonce){0};
    ask->seat = named(ask->attempt, ask->rank);
    ask->name = words_one_in(words, 2) ? named(ask->attempt, 14) : (struct nonce){0};
    ask->ended = words_one_in(words, 32);
}

/* Mostly by a rank that has heard of its seat. */
static void ask_something(struct words *words, struct message_load_ask *ask)
{
    const struct message *told = words_recall(words, MESSAGE_SEAT_TOLD);
    memset(ask->run.name, 0, sizeof(ask->run.name));
    ask->run.uid = 1000 + (uint32_t)words_below(words, 2);
    ask->run.name[0] = (char)('a' + words_below(words, 3));
    ask->attempt = 1 + (uint32_t)words_below(words, 3);
    ask->world = world_of(words, &ask->run);
    ask->rank = ask->asking_rank = (uint32_t)words_below(words, ask->world);
    ask->load = 1 + (uint32_t)words_below(words, 2);
    ask->start = named(ask->attempt, 15);
    ask->seat = named(ask->attempt, ask->rank);
    ask->range_offset = words_below(words, 8);
    ask->range_bytes = words_one_in(words, 3) ? 1 + words_below(words, 8) : 0;
    if (words_one_in(words, 2)) {
        ask->step = CKPT_STEP_LATEST;
    }
    if (told != NULL && !words_one_in(words, 4)) {
        const struct message_seat_told *seat = &told->seat_told;
        ask->run = seat->run;
        ask->attempt = seat->attempt;
        ask->start = seat->start;
        ask->seat = seat->seat;
        ask->rank = ask->asking_rank = seat->rank;
        ask->world = world_of(words, &ask->run);
    }
}

/* Mostly what an agent could say, with a field or two of it spoilt now and then. */
static void make_sense(struct storm *storm, uint32_t link, struct message *message)
{
    struct words *words = storm->words;
    if (words_one_in(words, 16)) {
        return; /* nonsense stays nonsense */
    }
    const struct message *order = NULL;
    switch ((int)message->type) {
    case MESSAGE_JOIN:
        be_someone(link, &message->join);
        break;
    case MESSAGE_SHARD_REPORT:
        if (words_one_in(words, 3)) {
            save_something(words, &message->shard_report);
        } else {
            answer_order(words, &message->shard_report);
        }
        break;
    case MESSAGE_SEAT_ASK:
        sit_down(words, &message->seat_ask);
        break;
    case MESSAGE_LOAD_ASK:
        ask_something(words, &message->load_ask);
        break;
    case MESSAGE_PULL_FAILED:
        order = words_recall(words, MESSAGE_PULL_ORDER);
        if (order != NULL) {
            message->pull_failed.order = order->pull_order.order;
            message->pull_failed.shard = order->pull_order.shard;
        }
        break;
    default:
        break;
    }
    words_spoil(words, message, 100);
}

static void send_one(struct storm *storm)
{
    struct words *words = storm->words;
    struct message message;
    uint32_t link = (uint32_t)words_below(words, LINKS);
    bool any = words_one_in(words, 16);
    words_fill(words, words_type(words, inbound, any ? 0 : sizeof(inbound) / sizeof(inbound[0])),
               &message);
    make_sense(storm, link, &message);
    message.epoch = words_one_in(words, 16) ? words_below(words, EPOCH) : EPOCH;
    uint32_t life = words_one_in(words, 64) ? (uint32_t)words_below(words, 256) : link + 1;
    memset(&message.incarnation, (int)life, sizeof(message.incarnation));
    if (words_one_in(words, 64)) {
        link = (uint32_t)words_below(words, UINT32_MAX);
    }
    struct coordinator_event event = {
        .type = COORDINATOR_MESSAGE, .link = link, .message = &message};
    take(storm, &event);
}

static void admin(struct storm *storm)
{
    struct message message;
    words_fill(storm->words, MESSAGE_ADMIN_ASK, &message);
    struct coordinator_event event = {.type = COORDINATOR_ADMIN, .admin = &message.admin_ask};
    take(storm, &event);
}

static void step(struct storm *storm)
{
    struct words *words = storm->words;
    struct coordinator_event event = {.type = COORDINATOR_TICK,
                                      .link = (uint32_t)words_below(words, LINKS)};
    switch (words_below(words, 64)) {
    case 0:
        storm->now_ms += words_below(words, 2000);
        take(storm, &event);
        break;
    case 1:
        storm->now_ms += words_one_in(words, 100) ? 10000000 : 10;
        take(storm, &event);
        break;
    case 2:
        if (words_one_in(words, 8)) {
            event.type = COORDINATOR_DISCONNECTED;
            take(storm, &event);
        }
        break;
    case 3:
        if (words_one_in(words, 4)) {
            admin(storm);
        }
        break;
    default:
        send_one(storm);
        break;
    }
}

static void *begin(struct storm *storm)
{
    char reason[CKPT_REASON_MAX + 1];
    struct coordinator_config config;
    coordinator_config_default(&config);
    config.agents_max = LINKS + 2;
    config.runs_max = 4;
    config.checkpoints_max = 12;
    config.shards_max = 24;
    config.invariant_full = true;
    config.digest = words_one_in(storm->words, 4) ? DIGEST_KIND_BLAKE3 : DIGEST_KIND_FINGERPRINT;
    size_t bytes = (coordinator_memory_bytes(&config, reason) + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, bytes);
    assert(memory != NULL);
    memset(memory, 0, bytes);
    enum ckpt_status status = coordinator_init(memory, bytes, &config, EPOCH, 1, &storm->machine);
    assert(status == CKPT_OK);
    (void)status;
    storm->now_ms = 1000;
    struct coordinator_event event = {.type = COORDINATOR_REPLAY_END};
    take(storm, &event);
    for (uint32_t link = 0; link < LINKS; link++) {
        struct message message = {.type = MESSAGE_JOIN, .epoch = EPOCH};
        be_someone(link, &message.join);
        memset(&message.incarnation, (int)link + 1, sizeof(message.incarnation));
        struct coordinator_event join = {
            .type = COORDINATOR_MESSAGE, .link = link, .message = &message};
        take(storm, &join);
    }
    return memory;
}

void storm_coordinator(struct words *words, uint64_t events, struct storm_result *result_out)
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
