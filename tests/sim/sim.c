/* SPDX-License-Identifier: Apache-2.0 */
/* One seed, from the drawing of the cluster to the last judgement. */
#include "sim.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "hosts.h"
#include "judge.h"

#define TURNS_MAX 4000000u
#define SETTLE_MS 2500    /* after the faults, before the jobs start anew */
#define PATIENCE_MS 45000 /* for their restores and saves */
#define QUIET_MS 20000    /* for every shard to have the copies it should, and no more */

uint32_t sim_between(struct sim *sim, uint32_t low, uint32_t high)
{
    return low + (uint32_t)prng_below(&sim->prng, (uint64_t)high - low + 1);
}

bool sim_chance(struct sim *sim, uint32_t ppm)
{
    return prng_chance(&sim->prng, ppm);
}

struct incarnation sim_incarnation(struct sim *sim)
{
    struct incarnation incarnation;
    for (uint32_t i = 0; i < INCARNATION_BYTES; i++) {
        incarnation.bytes[i] = (uint8_t)prng_next(&sim->prng);
    }
    incarnation.bytes[0] |= 1;
    return incarnation;
}

void sim_later(struct sim *sim, uint64_t in_ms, enum turn_type type, uint32_t who, uint32_t life,
               uint32_t number, struct parcel *parcel)
{
    turns_push(&sim->turns, (struct turn){.at_ms = sim->now_ms + in_ms,
                                          .type = type,
                                          .who = who,
                                          .life = life,
                                          .number = number,
                                          .parcel = parcel});
}

void sim_trace(struct sim *sim, const char *format, ...)
{
    if (!sim->trace) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    fprintf(sim->trace, "%8llu ", (unsigned long long)sim->now_ms);
    vfprintf(sim->trace, format, arguments);
    fputc('\n', sim->trace);
    va_end(arguments);
}

void sim_hash(struct sim *sim, uint64_t value)
{
    sim->hash = (sim->hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    sim->hash ^= sim->hash >> 29;
}

void sim_violation(struct sim *sim, const char *format, ...)
{
    if (sim->failed) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    int used = snprintf(sim->failure, sizeof sim->failure,
                        "at %llu ms: ", (unsigned long long)sim->now_ms);
    vsnprintf(sim->failure + used, sizeof sim->failure - (size_t)used, format, arguments);
    va_end(arguments);
    sim->failed = true;
    sim_trace(sim, "VIOLATION %s", sim->failure);
}

void sim_fault(struct sim *sim, enum fault_kind kind)
{
    sim->stats.faults[kind]++;
    if (kind > FAULT_DELAY) {
        sim_trace(sim, "fault: %s", fault_kind_name(kind));
    }
}

uint32_t sim_uid(uint32_t user)
{
    return 1000 + user;
}

uint32_t sim_user_of_uid(uint32_t uid)
{
    return uid >= 1000 ? uid - 1000 : 31;
}

struct sim_job *sim_job_of(struct sim *sim, const struct run_key *key)
{
    for (uint32_t run = 0; run < sim->mix.runs; run++) {
        if (sim->jobs[run].key.uid == key->uid && strcmp(sim->jobs[run].key.name, key->name) == 0) {
            return &sim->jobs[run];
        }
    }
    return NULL;
}

/* Keeps what is expensive to allocate, forgets everything else. */
static void clear(struct sim *sim)
{
    void *node_memory[SIM_NODES_MAX];
    size_t node_bytes[SIM_NODES_MAX];
    void *ruler_memory[SIM_RULERS_MAX];
    size_t ruler_bytes[SIM_RULERS_MAX];
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        node_memory[i] = sim->nodes[i].memory;
        node_bytes[i] = sim->nodes[i].memory_bytes;
    }
    for (uint32_t i = 0; i < SIM_RULERS_MAX; i++) {
        ruler_memory[i] = sim->rulers[i].memory;
        ruler_bytes[i] = sim->rulers[i].memory_bytes;
    }
    struct sim_link *links = sim->links;
    uint32_t link_room = sim->link_room;
    struct sim_stats stats = sim->stats;
    memset(sim, 0, sizeof *sim);
    sim->links = links;
    sim->link_room = link_room;
    sim->stats = stats;
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        sim->nodes[i].memory = node_memory[i];
        sim->nodes[i].memory_bytes = node_bytes[i];
    }
    for (uint32_t i = 0; i < SIM_RULERS_MAX; i++) {
        sim->rulers[i].memory = ruler_memory[i];
        sim->rulers[i].memory_bytes = ruler_bytes[i];
    }
}

/* How many of the job's shards a node may have to hold of one checkpoint. With as many copies as
 * domains the smallest domain has one of each. */
static uint32_t documented_shards(const struct sim *sim, const struct sim_job *job)
{
    uint32_t nodes = sim->mix.nodes;
    uint32_t smallest = nodes / sim->mix.domains;
    uint32_t even = (job->world + nodes - 1) / nodes * job->copies;
    uint32_t forced = job->copies >= sim->mix.domains ? (job->world + smallest - 1) / smallest : 0;
    return even > forced ? even : forced;
}

/* What docs/operating.md asks for a node: (keep + 1) x copies shards for each rank that it may be
 * given, and N / (N - 1) of that in whole shards, so that the loss of a node leaves room. */
static uint32_t documented_segments(const struct sim *sim)
{
    uint32_t nodes = sim->mix.nodes;
    uint32_t keep = sim->mix.arena == ARENA_SCANT ? 1 : sim->mix.keep;
    uint32_t segments = 0;
    for (uint32_t run = 0; run < sim->mix.runs; run++) {
        const struct sim_job *job = &sim->jobs[run];
        uint32_t largest = 0;
        for (uint32_t rank = 0; rank < job->world; rank++) {
            uint32_t needs =
                (job->shard_bytes[rank] + sim->mix.segment_bytes - 1) / sim->mix.segment_bytes;
            largest = needs > largest ? needs : largest;
        }
        uint32_t shards = documented_shards(sim, job) * (keep + 1);
        segments += (shards * nodes + nodes - 2) / (nodes - 1) * largest;
    }
    return segments < SIM_SEGMENTS_MAX ? segments : SIM_SEGMENTS_MAX;
}

static void set_up(struct sim *sim, uint64_t seed, FILE *trace)
{
    clear(sim);
    sim->seed = seed;
    sim->trace = trace;
    sim->now_ms = 1000;
    prng_seed(&sim->prng, seed);
    sim_mix_draw(&sim->prng, &sim->mix);
    turns_init(&sim->turns);
    sim->judge = judge_new();
    for (uint32_t run = 0; run < sim->mix.runs; run++) {
        job_init(sim, run);
    }
    if (sim->mix.segments == 0) {
        sim->mix.segments = documented_segments(sim);
    }
    sim->mix.slots = sim->mix.page_bytes > 0 ? SIM_SEGMENTS_MAX : sim->mix.segments;
    uint32_t ruler;
    (void)ruler_start(sim, &ruler);
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        node_init(sim, node);
        node_start(sim, node);
    }
    nemesis_init(sim);
    sim_later(sim, sim->mix.faults_ms, TURN_FAULTS_END, 0, 0, 0, NULL);
}

static void tear_down(struct sim *sim)
{
    struct turn turn;
    while (turns_pop(&sim->turns, &turn)) {
        if (turn.parcel) {
            parcel_free(turn.parcel);
        }
    }
    turns_free(&sim->turns);
    for (uint32_t i = 0; i < SIM_HOSTS_MAX; i++) {
        host_empty_inbox(host_at(sim, i));
        session_filter_free(&host_at(sim, i)->seen);
    }
    judge_delete(&sim->judge);
}

/* The faults stop: all is mended, and when the dust has settled every job starts anew. */
static void end_faults(struct sim *sim)
{
    if (!sim->faults_over) {
        sim->faults_over = true;
        sim_trace(sim, "the faults stop");
        nemesis_stop(sim);
        for (uint32_t run = 0; run < sim->mix.runs; run++) {
            job_restart(sim, &sim->jobs[run], SETTLE_MS + 500);
        }
        sim_later(sim, SETTLE_MS, TURN_FAULTS_END, 0, 0, 0, NULL);
    } else {
        judge_faults_over(sim);
        sim_later(sim, PATIENCE_MS, TURN_END, 0, 0, 0, NULL);
    }
}

static void start_host(struct sim *sim, const struct turn *turn)
{
    if (turn->who < SIM_NODES_MAX) {
        struct sim_host *host = &sim->nodes[turn->who].host;
        if (!host->alive && host->life == turn->life) {
            node_start(sim, turn->who);
        }
        return;
    }
    for (uint32_t i = 0; i < SIM_RULERS_MAX; i++) {
        if (sim->rulers[i].host.alive && !sim->rulers[i].host.paused) {
            sim->front = i;
            return;
        }
    }
    uint32_t ruler;
    (void)ruler_start(sim, &ruler);
}

static void tick(struct sim *sim, const struct turn *turn)
{
    struct sim_host *host = host_at(sim, turn->who);
    if (!host->tick_armed || host->tick != turn->number) {
        return;
    }
    host->tick_armed = false;
    struct parcel *parcel = parcel_new(PARCEL_TICK);
    parcel->host = turn->who;
    host_take(sim, turn->who, parcel);
}

/* Turns that are for one life of one host. */
static void host_turn(struct sim *sim, const struct turn *turn)
{
    struct sim_host *host = host_at(sim, turn->who);
    if (turn->type == TURN_PERSISTED) {
        host = &sim->rulers[turn->who].host;
    }
    if (!host->alive || host->life != turn->life) {
        return;
    }
    if (turn->type == TURN_TICK) {
        tick(sim, turn);
    } else if (turn->type == TURN_INBOX) {
        host_inbox_turn(sim, turn->who);
    } else if (turn->type == TURN_RESUME) {
        host->paused = false;
        sim_trace(sim, "host %u goes on", turn->who);
        host_return(sim, host);
        host_wake(sim, turn->who);
    } else if (turn->type == TURN_CONNECT) {
        if (turn->who < SIM_NODES_MAX) {
            node_look_for_coordinator(sim, turn->who);
        } else {
            ruler_look_at_store(sim, turn->who - SIM_NODES_MAX);
        }
    } else if (host->paused) {
        sim_later(sim, 20, TURN_PERSISTED, turn->who, turn->life, 0, NULL);
    } else {
        ruler_persisted(sim, turn->who);
    }
}

/* When every run has restored and saved, nobody saves any more; when then every copy is where it
 * should be, the seed is over. */
static bool is_over(struct sim *sim)
{
    if (!sim->quiet && judge_is_content(sim)) {
        sim_trace(sim, "all have restored and saved: quiet now");
        sim->quiet = true;
        sim->quiet_since_ms = sim->now_ms;
        sim_later(sim, QUIET_MS, TURN_END, 0, 0, 1, NULL);
    }
    return sim->quiet && judge_has_converged(sim, false);
}

/* The patience for restores and saves does not cut short what comes after them. */
static void end_patience(struct sim *sim, bool of_quiet)
{
    sim->ended = of_quiet || !sim->quiet;
    if (of_quiet) {
        (void)judge_has_converged(sim, true);
    }
}

static void fire(struct sim *sim, const struct turn *turn)
{
    switch (turn->type) {
    case TURN_PARCEL:
        net_arrive(sim, turn->parcel);
        break;
    case TURN_TICK:
    case TURN_INBOX:
    case TURN_RESUME:
    case TURN_CONNECT:
    case TURN_PERSISTED:
        host_turn(sim, turn);
        break;
    case TURN_WORK:
        if (sim->works[turn->who].active && sim->works[turn->who].life == turn->life &&
            (uint32_t)sim->works[turn->who].work == turn->number) {
            work_turn(sim, turn->who);
        }
        break;
    case TURN_START:
        start_host(sim, turn);
        break;
    case TURN_RANK:
        rank_turn(sim, turn->who, turn->life, turn->number);
        break;
    case TURN_JOB:
        job_turn(sim, turn->who, turn->life);
        break;
    case TURN_NEMESIS:
        nemesis_strike(sim, (enum fault_kind)turn->number, turn->who);
        break;
    case TURN_HEAL:
        nemesis_heal(sim, turn->number);
        break;
    case TURN_FAULTS_END:
        end_faults(sim);
        break;
    case TURN_END:
        end_patience(sim, turn->number == 1);
        break;
    }
}

bool sim_run(struct sim *sim, uint64_t seed, FILE *trace)
{
    set_up(sim, seed, trace);
    struct turn turn;
    uint32_t turns = 0;
    while (!sim->failed && !sim->ended && turns_pop(&sim->turns, &turn)) {
        sim->now_ms = turn.at_ms;
        sim_hash(sim, turn.at_ms * 64 + (uint64_t)turn.type);
        sim_hash(sim, (uint64_t)turn.who << 32 | turn.number);
        fire(sim, &turn);
        judge_memory(sim);
        if (sim->faults_over && turn.type == TURN_JOB && is_over(sim)) {
            break;
        }
        if (++turns > TURNS_MAX) {
            sim_violation(sim, "no end after %u turns", turns);
        }
    }
    if (!sim->failed) {
        judge_end(sim);
    }
    sim->stats.turns += turns;
    sim->stats.seeds++;
    tear_down(sim);
    return !sim->failed;
}
