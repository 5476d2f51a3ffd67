/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's process around its machine, as src/ckptctld is, and the store behind it.
 *
 * The store takes a transaction whole or not at all, refuses a lower epoch than it knows, and
 * answers after some time in which the process does nothing else. A process that dies in that time
 * may find its records there afterwards, or not: nobody was told. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "hosts.h"
#include "judge.h"
#include "store/rules.h"

#define STORE_LOOK_MS 2000

/* Tables for this cluster and its jobs, and nothing above: kept and open checkpoints, and one that
 * is given up and not yet forgotten. */
static void fit_tables(struct sim *sim, struct coordinator_config *config)
{
    config->agents_max = sim->mix.nodes;
    config->runs_max = sim->mix.runs;
    config->checkpoints_max = 0;
    config->shards_max = 0;
    for (uint32_t run = 0; run < sim->mix.runs; run++) {
        config->checkpoints_max += sim->mix.keep + 3;
        config->shards_max += (sim->mix.keep + 3) * sim->jobs[run].world;
    }
    config->shards_max = config->shards_max < 16 ? 16 : config->shards_max;
}

static void draw_config(struct sim *sim, struct coordinator_config *config)
{
    coordinator_config_default(config);
    config->agents_max = SIM_NODES_MAX;
    config->runs_max = 8;
    config->checkpoints_max = 40;
    config->shards_max = 240;
    config->user_share_percent = 100; /* tables and arenas are made for what there is */
    config->keep = sim->mix.keep;
    config->heartbeat_ms = SIM_CONFIG_HEARTBEAT_MS;
    config->lease_ms = SIM_CONFIG_LEASE_MS;
    config->disconnect_grace_ms = 300;
    config->forget_ms = 2500;
    config->save_timeout_ms = 4000;
    config->resend_ms = 300;
    config->restore_settle_ms = SIM_CONFIG_SETTLE_MS;
    config->repair_after_ms = SIM_CONFIG_REPAIR_AFTER_MS;
    config->restore_timeout_ms = SIM_CONFIG_RESTORE_TIMEOUT_MS;
    config->restore_passes = 2;
    config->pull_attempts_max = 4;
    config->invariant_full = true;
    config->persist_every = sim->mix.persist_every;
    config->persist_max_age_ms = sim->mix.persist_max_age_ms;
    config->digest =
        sim_chance(sim, sim->mix.blake3_ppm) ? DIGEST_KIND_BLAKE3 : DIGEST_KIND_FINGERPRINT;
    if (sim->mix.small_tables) {
        fit_tables(sim, config);
    }
}

static void draw_secret(struct sim *sim, struct sim_ruler *ruler)
{
    for (size_t i = 0; i < sizeof(ruler->secret.bytes); i += 8) {
        store_le64(ruler->secret.bytes + i, prng_next(&sim->prng));
    }
}

static void apply(struct sim *sim, uint32_t index);

static void advance(struct sim *sim, uint32_t index, struct coordinator_event *event)
{
    struct sim_ruler *ruler = &sim->rulers[index];
    event->now_ms = sim->now_ms;
    event->wall_ms = sim->now_ms * UINT64_C(0x9e3779b97f4a7c15) >> 20; /* it jumps, to and fro */
    event->late_ms = lateness_take(&ruler->host.lateness, sim->now_ms, 0);
    event->secret = &ruler->secret;
    sim->stats.advances++;
    enum ckpt_status status = coordinator_advance(ruler->machine, event, &ruler->update);
    if (status != CKPT_OK) {
        sim_violation(sim, "ruler %u: coordinator_advance says %s", index,
                      ckpt_status_name(status));
        return;
    }
    if (ruler->update.secret_used) {
        draw_secret(sim, ruler);
    }
    apply(sim, index);
}

/* The newest record makes others void, by the rules of the store that ships. */
static void compact(struct sim_store *store)
{
    struct sim_record *newest = &store->records[store->count - 1];
    newest->is_void = !store_is_kept(&newest->record);
    for (uint32_t i = 0; i + 1 < store->count; i++) {
        struct sim_record *earlier = &store->records[i];
        earlier->is_void = earlier->is_void || store_is_void(&earlier->record, &newest->record);
    }
}

static void append(struct sim *sim, uint32_t ruler, const struct sim_record *record)
{
    struct sim_store *store = &sim->store;
    if (store->count == SIM_RECORDS_MAX) {
        sim_violation(sim, "the store is full");
        return;
    }
    store->records[store->count] = *record;
    store->count++;
    if (record->record.epoch > store->epoch) {
        store->epoch = record->record.epoch;
    }
    sim_hash(sim, record->record.step * 8 + (uint64_t)record->record.type);
    sim_trace(sim, "stored by ruler %u: type %d epoch %" PRIu64 " run %s attempt %u step %" PRIu64,
              ruler, (int)record->record.type, record->record.epoch, record->record.run.name,
              record->record.attempt, record->record.step);
    judge_store_record(sim, ruler, record);
    judge_durable(sim, ruler, record);
    judge_persisted(sim, &record->record);
    compact(store);
}

static void replay(struct sim *sim, uint32_t index)
{
    struct sim_ruler *ruler = &sim->rulers[index];
    for (uint32_t i = 0; i < sim->store.count && ruler->host.alive; i++) {
        if (sim->store.records[i].is_void) {
            continue;
        }
        struct coordinator_record record = sim->store.records[i].record;
        record.shards = record.type == RECORD_CONSISTENT ? sim->store.records[i].shards : NULL;
        struct coordinator_event event = {.type = COORDINATOR_REPLAY, .record = &record};
        advance(sim, index, &event);
    }
    if (ruler->host.alive) {
        struct coordinator_record cluster = {
            .type = RECORD_CLUSTER, .epoch = 1, .step = 1, .bytes = 1};
        struct coordinator_event named = {.type = COORDINATOR_REPLAY, .record = &cluster};
        advance(sim, index, &named);
        struct coordinator_event event = {.type = COORDINATOR_REPLAY_END};
        advance(sim, index, &event);
    }
}

bool ruler_start(struct sim *sim, uint32_t *ruler_out)
{
    uint32_t index = 0;
    while (index < SIM_RULERS_MAX && sim->rulers[index].host.alive) {
        index++;
    }
    if (index == SIM_RULERS_MAX) {
        return false;
    }
    struct sim_ruler *ruler = &sim->rulers[index];
    host_reset(sim, &ruler->host);
    struct coordinator_config config;
    draw_config(sim, &config);
    char reason[CKPT_REASON_MAX + 1] = "";
    size_t bytes = coordinator_memory_bytes(&config, reason);
    if (bytes > ruler->memory_bytes) {
        free(ruler->memory);
        ruler->memory_bytes = (bytes + 63) / 64 * 64;
        ruler->memory = aligned_alloc(64, ruler->memory_bytes);
    }
    if (bytes == 0 || !ruler->memory) {
        sim_violation(sim, "the coordinator's configuration is refused: %s", reason);
        return false;
    }
    memset(ruler->memory, 0, ruler->memory_bytes);
    ruler->epoch = sim->store.epoch + 1;
    ruler->next_link = 1;
    ruler->transaction_count = 0;
    draw_secret(sim, ruler);
    sim_trace(sim, "ruler %u starts, epoch %" PRIu64, index, ruler->epoch);
    struct sim_record record = {.record = {.type = RECORD_EPOCH, .epoch = ruler->epoch}};
    append(sim, index, &record);
    enum ckpt_status status = coordinator_init(ruler->memory, bytes, &config, ruler->epoch,
                                               prng_next(&sim->prng), &ruler->machine);
    if (status != CKPT_OK) {
        sim_violation(sim, "coordinator_init says %s", ckpt_status_name(status));
        return false;
    }
    sim->front = index;
    *ruler_out = index;
    replay(sim, index);
    if (ruler->host.alive) {
        sim_later(sim, STORE_LOOK_MS, TURN_CONNECT, SIM_NODES_MAX + index, ruler->host.life, 0,
                  NULL);
    }
    return true;
}

/* A coordinator that has nothing to write and whose agents never heard of a newer one would rule
 * its part of them for ever: so it looks at the store's epoch now and then. */
void ruler_look_at_store(struct sim *sim, uint32_t index)
{
    struct sim_ruler *ruler = &sim->rulers[index];
    sim_later(sim, STORE_LOOK_MS, TURN_CONNECT, SIM_NODES_MAX + index, ruler->host.life, 0, NULL);
    if (!ruler->host.paused && !ruler->host.busy &&
        coordinator_epoch(ruler->machine) < sim->store.epoch) {
        host_crash(sim, SIM_NODES_MAX + index);
    }
}

/* The coordinator that a new connection reaches: the newest; now and then, while there are faults,
 * any. */
bool ruler_pick(struct sim *sim, uint32_t *ruler_out)
{
    uint32_t index = sim->front;
    if (!sim->faults_over && sim_chance(sim, PPM / 5)) {
        index = sim_between(sim, 0, SIM_RULERS_MAX - 1);
    }
    if (!sim->rulers[index].host.alive) {
        index = sim->front;
    }
    *ruler_out = index;
    return sim->rulers[index].host.alive;
}

void ruler_take(struct sim *sim, uint32_t index, struct parcel *parcel)
{
    struct sim_ruler *ruler = &sim->rulers[index];
    struct coordinator_event event = {0};
    if (parcel->type <= PARCEL_DOWN && !net_end_is_live(sim, parcel->link, parcel->side)) {
        return;
    }
    struct sim_link *link = &sim->links[parcel->link];
    event.link = link->ends[parcel->side].link;
    switch (parcel->type) {
    case PARCEL_MESSAGE:
        if (!session_filter_take(ruler->host.seen, &parcel->message.incarnation,
                                 parcel->message.sequence)) {
            return;
        }
        event.type = COORDINATOR_MESSAGE;
        event.message = &parcel->message;
        trace_message(sim, "ruler", index, "takes", event.link, &parcel->message);
        if (parcel->message.type == MESSAGE_HEARTBEAT && parcel->message.heartbeat.inventory_told &&
            index == sim->front) {
            sim->nodes[link->ends[0].index].forgotten = false;
        }
        break;
    case PARCEL_UP: {
        event.type = COORDINATOR_CONNECTED;
        struct parcel *up = parcel_new(PARCEL_UP);
        up->link = parcel->link;
        up->side = 0;
        sim_later(sim, sim_between(sim, 0, 5), TURN_PARCEL, parcel->link, 0, 0, up);
        break;
    }
    case PARCEL_DOWN:
        link->ends[parcel->side].open = false;
        event.type = COORDINATOR_DISCONNECTED;
        break;
    case PARCEL_ADMIN:
        event.type = COORDINATOR_ADMIN;
        event.admin = &parcel->admin;
        break;
    case PARCEL_TICK:
        event.type = COORDINATOR_TICK;
        event.unread = !ruler->update.read_first;
        break;
    case PARCEL_WORK:
        return;
    }
    advance(sim, index, &event);
    if (parcel->type == PARCEL_ADMIN && ruler->update.admin_status == CKPT_OK) {
        operator_answered(sim, &parcel->admin);
    }
}

static void send_one(struct sim *sim, uint32_t index, uint32_t link_index,
                     const struct message *message)
{
    struct sim_link *link = &sim->links[link_index];
    if (message->type == MESSAGE_WELCOME && message->welcome.status == CKPT_OK) {
        link->welcomed = true;
    }
    trace_message(sim, "ruler", index, "sends", link->ends[1].link, message);
    judge_ruler_message(sim, index, link->ends[0].index, message);
    net_send(sim, link_index, 1, message, ATTACH_NONE, NULL);
}

static void send(struct sim *sim, uint32_t index, const struct coordinator_outgoing *outgoing)
{
    uint32_t link;
    uint32_t side;
    if (outgoing->link == COORDINATOR_LINK_ALL) {
        for (link = 0; link < sim->link_count; link++) {
            const struct sim_end *end = &sim->links[link].ends[1];
            if (end->open && end->type == END_RULER && end->index == index &&
                sim->links[link].welcomed) {
                send_one(sim, index, link, &outgoing->message);
            }
        }
        return;
    }
    if (!net_find(sim, END_RULER, index, outgoing->link, &link, &side)) {
        return;
    }
    if (outgoing->message.type != MESSAGE_NONE) {
        send_one(sim, index, link, &outgoing->message);
    }
    if (outgoing->close) {
        net_cut(sim, link);
    }
}

static void speak(struct sim *sim, uint32_t index)
{
    struct sim_ruler *ruler = &sim->rulers[index];
    if (ruler->update.step_down) {
        host_crash(sim, SIM_NODES_MAX + index);
        return;
    }
    for (uint32_t i = 0; i < ruler->update.message_count; i++) {
        if (host_crash_point(sim, SIM_NODES_MAX + index)) {
            return;
        }
        send(sim, index, &ruler->update.messages[i]);
    }
    for (uint32_t i = 0; i < ruler->update.note_count; i++) {
        sim_trace(sim, "ruler %u notes %s: %s", index, event_name(ruler->update.notes[i].event),
                  ruler->update.notes[i].text);
    }
    lateness_due(&ruler->host.lateness, ruler->update.deadline_ms);
    host_arm_tick(sim, SIM_NODES_MAX + index, ruler->update.deadline_ms,
                  ruler->update.again || ruler->update.read_first);
}

/* The fence, as src/store/store.h states it:
 * no epoch below the highest, a new one only above it. */
static bool passes_fence(struct sim *sim, const struct sim_ruler *ruler)
{
    uint64_t known = sim->store.epoch;
    for (uint32_t i = 0; i < ruler->transaction_count; i++) {
        const struct coordinator_record *record = &ruler->transaction[i].record;
        if (record->epoch < sim->store.epoch ||
            (record->type == RECORD_EPOCH && record->epoch <= known)) {
            return false;
        }
        if (record->type == RECORD_EPOCH) {
            known = record->epoch;
        } else if (record->epoch > known) {
            sim_violation(sim, "a record of epoch %" PRIu64 ", which nobody took", record->epoch);
        }
    }
    return true;
}

/* The transaction becomes durable, or is refused because a higher epoch rules. */
static bool commit(struct sim *sim, uint32_t index)
{
    struct sim_ruler *ruler = &sim->rulers[index];
    bool passes = passes_fence(sim, ruler);
    uint32_t count = ruler->transaction_count;
    ruler->transaction_count = 0;
    if (!passes) {
        sim_trace(sim, "ruler %u is refused by the store", index);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        append(sim, index, &ruler->transaction[i]);
        if (ruler->transaction[i].record.type == RECORD_EPOCH) {
            judge_members_lost(sim, index);
        }
    }
    judge_drained(sim);
    return true;
}

void ruler_persisted(struct sim *sim, uint32_t index)
{
    struct sim_ruler *ruler = &sim->rulers[index];
    ruler->host.busy = false;
    host_return(sim, &ruler->host);
    if (!commit(sim, index)) {
        host_crash(sim, SIM_NODES_MAX + index);
        return;
    }
    speak(sim, index);
    host_wake(sim, SIM_NODES_MAX + index);
}

/* Copies what is to be persisted, with the shards that only the machine can tell, and only now. */
static void begin_transaction(struct sim *sim, uint32_t index)
{
    struct sim_ruler *ruler = &sim->rulers[index];
    ruler->transaction_count = 0;
    for (uint32_t i = 0; i < ruler->update.record_count; i++) {
        struct sim_record *record = &ruler->transaction[ruler->transaction_count++];
        memset(record, 0, sizeof *record);
        record->record = ruler->update.records[i];
        record->record.shards = NULL;
        for (uint32_t rank = 0; record->record.type == RECORD_CONSISTENT &&
                                rank < record->record.world && rank < SIM_WORLD_MAX;
             rank++) {
            record->shards[rank] =
                coordinator_record_shard(ruler->machine, &ruler->update.records[i], rank);
        }
    }
    ruler->complaint[0] = '\0';
    judge_transaction(sim, index);
}

static void apply(struct sim *sim, uint32_t index)
{
    struct sim_ruler *ruler = &sim->rulers[index];
    if (ruler->update.record_count == 0) {
        speak(sim, index);
        return;
    }
    begin_transaction(sim, index);
    if (host_crash_point(sim, SIM_NODES_MAX + index)) {
        return;
    }
    uint32_t delay = sim->faults_over ? 0 : sim_between(sim, 0, sim->mix.store_delay_max_ms);
    bool is_slow = !sim->faults_over && sim_chance(sim, sim->mix.slow_commit_ppm);
    delay = is_slow ? sim_between(sim, 500, 6000) : delay;
    if (delay > 0) {
        sim_fault(sim, is_slow ? FAULT_SLOW_COMMIT : FAULT_SLOW_STORE);
        ruler->host.busy = true;
        if (is_slow) {
            host_leave(sim, &ruler->host);
        }
        if (ruler->host.crash_in_commit) {
            sim_fault(sim, FAULT_COORDINATOR_CRASH);
            host_crash(sim, SIM_NODES_MAX + index);
            return;
        }
        sim_later(sim, delay, TURN_PERSISTED, index, ruler->host.life, 0, NULL);
    } else if (commit(sim, index)) {
        speak(sim, index);
    } else {
        host_crash(sim, SIM_NODES_MAX + index);
    }
}

void ruler_died(struct sim *sim, uint32_t index)
{
    struct sim_ruler *ruler = &sim->rulers[index];
    if (ruler->transaction_count > 0) {
        /* The window: asked of the store, not yet answered. */
        if (sim_chance(sim, PPM / 2)) {
            (void)commit(sim, index);
        } else {
            ruler->transaction_count = 0;
            sim_fault(sim, FAULT_RECORDS_LOST);
        }
    }
    for (uint32_t i = 0; i < SIM_RULERS_MAX; i++) {
        if (sim->rulers[i].host.alive && !sim->rulers[i].host.paused) {
            sim->front = i;
            return;
        }
    }
    sim_later(sim, sim_between(sim, 100, 2500), TURN_START, SIM_NODES_MAX, 0, 0, NULL);
}
