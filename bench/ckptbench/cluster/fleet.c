/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/fleet.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/reason.h"
#include "process/clock.h"
#include "coordinator/coordinator.h"

/* Messages made before the clock runs. */
#define BATCH 64
#define SHARD_BYTES CKPT_GIB
#define BEATS 64 /* rounds of heartbeats */

struct order {
    uint32_t holder;
    uint64_t number;
};

struct fleet {
    struct fleet_options options;
    uint32_t world;
    void *memory;
    size_t memory_bytes;
    struct coordinator *machine;
    struct coordinator_update *update;
    struct order *orders; /* one a rank: of the checkpoint under way */
    struct message *batch;
    uint32_t *links; /* of the batch */
    uint32_t batch_count;
    uint64_t now_ms;
    uint64_t step;
    uint64_t events;
    uint32_t acks;
    uint32_t ordered;
    uint32_t refused;
    uint32_t commits;
    double *clock;       /* the phase under way */
    uint64_t digest_key; /* id of the run's; 0: not told yet */
    enum ckpt_status status;
};

static void read_update(struct fleet *f)
{
    const struct coordinator_update *u = f->update;
    for (uint32_t i = 0; i < u->message_count; i++) {
        const struct message *m = &u->messages[i].message;
        if (m->type == MESSAGE_PULL_ORDER) {
            f->orders[m->pull_order.shard.rank] =
                (struct order){.holder = u->messages[i].link, .number = m->pull_order.order};
            f->ordered++;
            if (f->digest_key == DIGEST_KEY_ID_BLAKE3) {
                f->digest_key = digest_key_id(&m->pull_order.key);
            }
        } else if (m->type == MESSAGE_SHARD_ACK) {
            f->acks++;
            f->refused += !m->shard_ack.keep;
        }
    }
    for (uint32_t i = 0; i < u->record_count; i++) {
        const struct coordinator_record *record = &u->records[i];
        if (record->type == RECORD_CONSISTENT) {
            f->commits++;
            for (uint32_t rank = 0; rank < record->world; rank++) {
                struct coordinator_record_shard shard =
                    coordinator_record_shard(f->machine, record, rank);
                f->refused += shard.bytes != SHARD_BYTES;
            }
        }
    }
}

static void advance(struct fleet *f, struct coordinator_event *event)
{
    static const struct digest_secret secret = {{1}};
    event->now_ms = f->now_ms;
    event->secret = &secret; /* one run begins */
    enum ckpt_status status = coordinator_advance(f->machine, event, f->update);
    if (status != CKPT_OK) {
        f->status = status;
    }
    f->events++;
    read_update(f);
}

static void tick(struct fleet *f)
{
    do {
        struct coordinator_event event = {.type = COORDINATOR_TICK};
        advance(f, &event);
    } while (f->update->again && f->status == CKPT_OK);
}

/* Gives the machine the batch, on the clock of the phase. */
static void flush(struct fleet *f)
{
    uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t i = 0; i < f->batch_count; i++) {
        struct coordinator_event event = {
            .type = COORDINATOR_MESSAGE, .link = f->links[i], .message = &f->batch[i]};
        advance(f, &event);
        if (f->update->again) {
            tick(f);
        }
    }
    *f->clock += (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / 1e9;
    f->batch_count = 0;
}

/* A message of an agent, to be filled in by the caller before the next. */
static struct message *next_message(struct fleet *f, uint32_t agent, enum message_type type)
{
    if (f->batch_count == BATCH) {
        flush(f);
    }
    struct message *m = &f->batch[f->batch_count];
    memset(m, 0, sizeof(*m));
    m->type = type;
    m->epoch = 1;
    memcpy(m->incarnation.bytes, &agent, sizeof(agent));
    m->incarnation.bytes[15] = 1; /* none is zero */
    f->links[f->batch_count++] = agent;
    return m;
}

static void join_all(struct fleet *f)
{
    for (uint32_t agent = 0; agent < f->options.agents; agent++) {
        struct message_join *join = &next_message(f, agent, MESSAGE_JOIN)->join;
        join->protocol = WIRE_PROTOCOL_VERSION;
        snprintf(join->node, sizeof(join->node), "node%05u.cluster.example", agent);
        snprintf(join->domain, sizeof(join->domain), "rack%05u",
                 agent / f->options.agents_per_domain);
        snprintf(join->address, sizeof(join->address), "10.%u.%u.1:7472", agent / 256, agent % 256);
        join->segment_bytes = CKPT_SEGMENT_BYTES_DEFAULT;
        join->segments = join->segments_free = CKPT_ARENA_SEGMENTS_MAX;
        join->features = WIRE_FEATURE_FINGERPRINT;
    }
    flush(f);
}

static void report(struct fleet *f, uint32_t agent, uint32_t rank, enum copy_state state,
                   bool owner)
{
    struct message_shard_report *r = &next_message(f, agent, MESSAGE_SHARD_REPORT)->shard_report;
    r->shard.run.uid = 0; /* under no share: the tables are as they ship, and nearly full */
    snprintf(r->shard.run.name, sizeof(r->shard.run.name), "pretraining/70b");
    r->shard.attempt = 1;
    r->shard.step = f->step;
    r->shard.rank = rank;
    r->world = f->world;
    r->copies = 2;
    r->bytes = SHARD_BYTES;
    r->generation = f->step;
    r->state = state;
    r->owner = owner;
    r->order = owner ? 0 : f->orders[rank].number;
    r->digest_key = f->digest_key;
    memset(&r->digest, (int)(rank + f->step) & 0xff, sizeof(r->digest));
}

static void seal_all(struct fleet *f)
{
    f->step++;
    for (uint32_t rank = 0; rank < f->world; rank++) {
        report(f, rank / f->options.ranks_per_agent, rank, COPY_SEALED, true);
    }
    flush(f);
}

static void verify_all(struct fleet *f)
{
    for (uint32_t rank = 0; rank < f->world; rank++) {
        report(f, rank / f->options.ranks_per_agent, rank, COPY_VERIFIED, true);
        report(f, f->orders[rank].holder, rank, COPY_VERIFIED, false);
    }
    flush(f);
}

static void beat_all(struct fleet *f)
{
    f->now_ms += 250;
    for (uint32_t agent = 0; agent < f->options.agents; agent++) {
        next_message(f, agent, MESSAGE_HEARTBEAT)->heartbeat.segments_free =
            CKPT_ARENA_SEGMENTS_MAX - 64;
    }
    flush(f);
    uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    tick(f);
    *f->clock += (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / 1e9;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* What earlier jobs left, as the records have it. */
static void replay_others(struct fleet *f)
{
    struct coordinator_record_shard shard = {.bytes = SHARD_BYTES};
    struct coordinator_record record = {
        .type = RECORD_CONSISTENT, .attempt = 1, .world = 1, .copies = 2, .bytes = SHARD_BYTES};
    record.run.uid = 1001;
    record.shards = &shard;
    for (uint32_t i = 0; i < f->options.others; i++) {
        snprintf(record.run.name, sizeof(record.run.name), "other/%u", i / FLEET_KEEP);
        record.step = i % FLEET_KEEP + 1;
        struct coordinator_event event = {.type = COORDINATOR_REPLAY, .record = &record};
        advance(f, &event);
    }
}

static enum ckpt_status open_fleet(struct fleet *f, char *reason)
{
    struct coordinator_config config;
    coordinator_config_default(&config);
    config.digest = DIGEST_KIND_FINGERPRINT;
    config.agents_max = larger(config.agents_max, f->options.agents);
    config.shards_max = larger(config.shards_max, 3 * f->world + f->options.others);
    config.keep = f->options.others > 0 ? FLEET_KEEP : 1;
    f->memory_bytes = coordinator_memory_bytes(&config, reason);
    if (f->memory_bytes == 0) {
        return CKPT_ERR_CONFIG;
    }
    f->memory = mmap(NULL, f->memory_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    f->update = calloc(1, sizeof(*f->update));
    f->orders = calloc(f->world, sizeof(*f->orders));
    f->batch = calloc(BATCH, sizeof(*f->batch));
    f->links = calloc(BATCH, sizeof(*f->links));
    if (f->memory == MAP_FAILED || f->update == NULL || f->orders == NULL || f->batch == NULL ||
        f->links == NULL) {
        return CKPT_ERR_MEMORY;
    }
    f->now_ms = 1000;
    enum ckpt_status status =
        coordinator_init(f->memory, f->memory_bytes, &config, 1, 1, &f->machine);
    if (status == CKPT_OK) {
        replay_others(f);
        struct coordinator_event event = {.type = COORDINATOR_REPLAY_END};
        advance(f, &event);
    }
    return status;
}

static void close_fleet(struct fleet *f)
{
    if (f->memory != NULL && f->memory != MAP_FAILED) {
        munmap(f->memory, f->memory_bytes);
    }
    free(f->update);
    free(f->orders);
    free(f->batch);
    free(f->links);
}

static enum ckpt_status judge(const struct fleet *f, char *reason)
{
    if (f->status != CKPT_OK) {
        return f->status;
    }
    if (f->commits == 2 && f->refused == 0 && f->ordered == 2 * f->world) {
        return CKPT_OK;
    }
    return reason_refuse(reason, CKPT_ERR_INTERNAL,
                         "%u agents: %u commits of 2, %u pull orders of %u, %u reports refused",
                         f->options.agents, f->commits, f->ordered, 2 * f->world, f->refused);
}

enum ckpt_status fleet_run(const struct fleet_options *options, struct fleet_cost *cost_out,
                           char *reason)
{
    struct fleet f = {.options = *options, .world = options->agents * options->ranks_per_agent};
    struct fleet_cost cost = {.join_s = 0};
    enum ckpt_status status = open_fleet(&f, reason);
    if (status == CKPT_OK) {
        f.clock = &cost.join_s;
        join_all(&f);
        f.events = 0;
        f.clock = &cost.save_s;
        seal_all(&f);
        f.clock = &cost.verify_s;
        verify_all(&f);
        cost.events = f.events;
        f.clock = &cost.heartbeat_s;
        for (int i = 0; i < BEATS; i++) {
            beat_all(&f);
        }
        cost.heartbeat_s /= BEATS;
        f.clock = &cost.next_s;
        seal_all(&f);
        verify_all(&f);
        cost.memory_bytes = f.memory_bytes;
        status = judge(&f, reason);
    }
    close_fleet(&f);
    if (status == CKPT_OK) {
        *cost_out = cost;
    }
    return status;
}
