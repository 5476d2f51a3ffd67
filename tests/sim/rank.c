/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's process: connects to its node's agent, restores, trains, saves; as libckpt would do it.
 *
 * Happy path: CONNECTING -> OPENING -> LOADING -> TRAINING <-> ASKING -> FILLING -> TRAINING.
 * Whatever breaks the connection leads back to CONNECTING, and training goes on without saves.
 * Its death is rank_kill: whatever it held is let go by the agent when the socket closes. */
#include <inttypes.h>
#include <string.h>

#include "hosts.h"
#include "judge.h"

#define OPEN_TIMEOUT_MS 2000

static struct sim_job *job_at(struct sim *sim, uint32_t index)
{
    return &sim->jobs[index / SIM_WORLD_MAX];
}

static uint64_t mix64(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

void rank_fill_bytes(const struct sim_job *job, uint32_t rank, uint64_t step, uint32_t offset,
                     uint32_t count, uint8_t *to)
{
    uint64_t key = mix64(step ^ (uint64_t)rank << 40 ^ (uint64_t)job->run << 48) ^
                   mix64((uint64_t)job->ranks[rank].process << 32 | job->attempt);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t word = mix64(key + (offset + i) / 8 * UINT64_C(0x9e3779b97f4a7c15));
        to[i] = (uint8_t)(word >> 8 * ((offset + i) % 8));
    }
}

void rank_later(struct sim *sim, struct sim_job *job, uint32_t index, uint64_t in_ms)
{
    struct sim_rank *rank = &job->ranks[index];
    sim_later(sim, in_ms, TURN_RANK, job->run * SIM_WORLD_MAX + index, rank->process,
              ++rank->script, NULL);
}

void rank_send(struct sim *sim, struct sim_job *job, uint32_t index, const struct message *message)
{
    struct sim_rank *rank = &job->ranks[index];
    if (rank->link && net_end_is_live(sim, rank->link - 1, 0)) {
        net_send(sim, rank->link - 1, 0, message, ATTACH_NONE, NULL);
    }
}

void rank_spawn(struct sim *sim, struct sim_job *job, uint32_t index)
{
    struct sim_rank *rank = &job->ranks[index];
    uint32_t node = rank->node;
    *rank = (struct sim_rank){.phase = RANK_CONNECTING,
                              .node = node,
                              .process = ++sim->next_process,
                              .incarnation = sim_incarnation(sim)};
    rank->odd = sim->mix.odd_ranks && !sim->faults_over && sim_chance(sim, PPM / 3);
    uint32_t opens_in_ms = sim_between(sim, 1, 60) + job->prepares_ms;
    if (!sim->faults_over && sim_chance(sim, sim->mix.late_rank_ppm)) {
        sim_fault(sim, FAULT_LATE_RANK);
        opens_in_ms = sim_between(sim, 500, 10000);
    }
    rank_later(sim, job, index, opens_in_ms);
}

void rank_kill(struct sim *sim, struct sim_job *job, uint32_t index)
{
    struct sim_rank *rank = &job->ranks[index];
    if (rank->phase == RANK_OFF) {
        return;
    }
    if (rank->link) {
        net_close(sim, rank->link - 1, 0);
    }
    rank->link = 0;
    rank->phase = RANK_OFF;
    rank->holds = false;
    rank->reads_on = false;
}

/* The mapping of what it read outlives the connection. */
static void read_on(struct sim *sim, struct sim_rank *rank)
{
    rank->reads_on = rank->reads_on || rank->holds;
    rank->reads_until_ms = sim->now_ms + sim_between(sim, 100, 3000);
    rank->holds = false;
}

static void stop_reading(struct sim *sim, struct sim_job *job, struct sim_rank *rank)
{
    if (rank->reads_on) {
        judge_held(sim, job, rank);
        rank->reads_on = false;
    }
}

/* Goes to the agent again later. A load that had no answer
 * stays without one: the agent forgot it. */
void rank_disconnect(struct sim *sim, struct sim_job *job, uint32_t index)
{
    struct sim_rank *rank = &job->ranks[index];
    if (rank->link) {
        net_close(sim, rank->link - 1, 0);
        rank->link = 0;
    }
    rank->opened = false;
    rank->is_prepared = false;
    rank->orphan = false;
    read_on(sim, rank);
    rank->tampers = false;
    rank->phase = RANK_CONNECTING;
    rank_later(sim, job, index, sim_between(sim, 50, 300));
}

static void connect(struct sim *sim, struct sim_job *job, uint32_t index)
{
    struct sim_rank *rank = &job->ranks[index];
    struct sim_node *node = &sim->nodes[rank->node];
    if (!node->host.alive) {
        rank_later(sim, job, index, sim_between(sim, 50, 200));
        return;
    }
    struct sim_end from = {
        .type = END_RANK, .index = job->run * SIM_WORLD_MAX + index, .life = rank->process};
    struct sim_end to = {.type = END_NODE, .index = rank->node, .life = node->host.life};
    to.link = node->next_link++;
    rank->link = net_connect(sim, from, to) + 1;
    struct parcel *parcel = parcel_new(PARCEL_UP);
    parcel->link = rank->link - 1;
    parcel->side = 1;
    sim->links[parcel->link].ends[1].last_arrival_ms = sim->now_ms;
    sim_later(sim, 0, TURN_PARCEL, parcel->link, 0, 0, parcel);
    struct message message = {.type = MESSAGE_RANK_OPEN};
    struct message_rank_open *open = &message.rank_open;
    memcpy(open->run, job->key.name, sizeof open->run);
    open->attempt = rank->attempt != 0 ? rank->attempt : job->is_counted ? 0 : job->attempt;
    open->start = rank->start;
    memcpy(open->seat.bytes, rank->incarnation.bytes, sizeof open->seat.bytes);
    open->rank = index;
    open->world = job->world;
    open->copies = job->copies;
    rank->takes_parts = open->takes_parts = (job->run + index + sim->seed) % 4 != 0;
    rank_send(sim, job, index, &message);
    rank->phase = RANK_OPENING;
    rank_later(sim, job, index, OPEN_TIMEOUT_MS);
}

void rank_load(struct sim *sim, struct sim_job *job, uint32_t index)
{
    struct sim_rank *rank = &job->ranks[index];
    struct message message = {.type = MESSAGE_LOAD_ASK};
    message.load_ask = (struct message_load_ask){.step = CKPT_STEP_LATEST,
                                                 .rank = index,
                                                 .asking_rank = index,
                                                 .world = job->world,
                                                 .attempt = job->attempt,
                                                 .collective = true,
                                                 .load = job->load};
    rank->phase = RANK_LOADING;
    rank->answered = false;
    rank_send(sim, job, index, &message);
}

static void fetch(struct sim *sim, struct sim_job *job, uint32_t index)
{
    struct sim_rank *rank = &job->ranks[index];
    struct message message = {.type = MESSAGE_LOAD_ASK};
    rank->fetches = true;
    rank->fetch_load = rank->fetch_load ? rank->fetch_load + 1 : SIM_FETCH_FIRST;
    rank->fetch_rank = sim_between(sim, 0, job->world - 1);
    message.load_ask = (struct message_load_ask){.step = CKPT_STEP_LATEST,
                                                 .rank = rank->fetch_rank,
                                                 .asking_rank = index,
                                                 .world = job->world,
                                                 .attempt = job->attempt,
                                                 .load = rank->fetch_load};
    rank->fetch_offset = rank->fetch_bytes = 0;
    if (sim_chance(sim, PPM * 2 / 3)) { /* some are beyond its end: they are refused */
        uint32_t bytes = job->shard_bytes[rank->fetch_rank];
        rank->fetch_offset = sim_between(sim, 0, bytes);
        rank->fetch_bytes = sim_between(sim, 1, bytes - rank->fetch_offset + 1);
    }
    message.load_ask.range_offset = rank->fetch_offset;
    message.load_ask.range_bytes = rank->fetch_bytes;
    rank->fetch_asked_ms = sim->now_ms;
    rank_send(sim, job, index, &message);
}

static void ask_checkpoint(struct sim *sim, struct sim_job *job, uint32_t index)
{
    struct message message = {.type = MESSAGE_CHECKPOINT_ASK};
    message.checkpoint_ask =
        (struct message_checkpoint_ask){.run = job->key, .step = CKPT_STEP_LATEST};
    rank_send(sim, job, index, &message);
}

/* Between saves: now and then it looks at a checkpoint, reads another rank's shard, or is odd. */
static void train(struct sim *sim, struct sim_job *job, uint32_t index)
{
    struct sim_rank *rank = &job->ranks[index];
    if (job->phase != JOB_TRAINING || !rank->opened) {
        rank_later(sim, job, index, 50);
        return;
    }
    if (rank->step < job->next_step) {
        rank_save_ask(sim, job, index);
        return;
    }
    if (sim_chance(sim, PPM / 30)) {
        ask_checkpoint(sim, job, index);
    } else if (!sim->quiet && !rank->fetches && !rank->holds && sim_chance(sim, PPM / 40)) {
        fetch(sim, job, index);
    }
    if (sim->mix.prepares && !rank->is_prepared && sim_chance(sim, PPM / 4)) {
        rank_prepare_ask(sim, job, index, 0);
    }
    if (rank->odd && sim_chance(sim, PPM / 10)) {
        sim_fault(sim, FAULT_ODD_RANK);
        rank_odd_message(sim, job, index);
    }
    rank_later(sim, job, index, sim_between(sim, 20, 80));
}

static void release(struct sim *sim, struct sim_job *job, uint32_t index)
{
    struct sim_rank *rank = &job->ranks[index];
    judge_held(sim, job, rank);
    struct message message = {.type = MESSAGE_RELEASE};
    message.release =
        (struct message_release){.slot = rank->loaded.slot, .generation = rank->loaded.generation};
    rank_send(sim, job, index, &message);
    rank->holds = false;
}

void rank_turn(struct sim *sim, uint32_t who, uint32_t process, uint32_t script)
{
    struct sim_job *job = job_at(sim, who);
    uint32_t index = who % SIM_WORLD_MAX;
    struct sim_rank *rank = &job->ranks[index];
    if (rank->process != process || rank->script != script) {
        return;
    }
    if (rank->holds && sim->now_ms > rank->loaded_ms + 150) {
        release(sim, job, index);
    }
    if (sim->now_ms > rank->reads_until_ms) {
        stop_reading(sim, job, rank);
    }
    if (rank->tampers && rank->phase == RANK_TRAINING) {
        rank_save_tamper(sim, rank);
    }
    switch (rank->phase) {
    case RANK_OFF:
    case RANK_LOADING:
        break;
    case RANK_CONNECTING:
        connect(sim, job, index);
        break;
    case RANK_OPENING:
        rank_disconnect(sim, job, index);
        break;
    case RANK_TRAINING:
        train(sim, job, index);
        break;
    case RANK_ASKING:
        rank->phase = RANK_TRAINING;
        rank_later(sim, job, index, 10);
        break;
    case RANK_FILLING:
        rank_save_fill(sim, job, index);
        break;
    }
}

static void take_opened(struct sim *sim, struct sim_job *job, uint32_t index,
                        const struct message_rank_opened *opened)
{
    struct sim_rank *rank = &job->ranks[index];
    if (rank->phase != RANK_OPENING) {
        return;
    }
    if (opened->status != CKPT_OK) {
        sim_trace(sim, "rank %u of %s is refused: %s", index, job->key.name, opened->reason);
        rank_disconnect(sim, job, index);
        return;
    }
    rank->opened = true;
    if (job->phase == JOB_LOADING && !rank->answered) {
        rank_load(sim, job, index);
        return;
    }
    rank->phase = RANK_TRAINING;
    rank_later(sim, job, index, 1);
}

static void take_loaded(struct sim *sim, struct sim_job *job, uint32_t index,
                        const struct parcel *parcel)
{
    struct sim_rank *rank = &job->ranks[index];
    const struct message_loaded *loaded = &parcel->message.loaded;
    bool is_fetch = loaded->load >= SIM_FETCH_FIRST;
    if (loaded->status == CKPT_OK) {
        if (rank->holds) {
            release(sim, job, index);
        }
        stop_reading(sim, job, rank);
        judge_loaded(sim, job, rank, loaded, &parcel->attached);
        rank->holds = true;
        rank->restored = parcel->attached;
        rank->loaded = *loaded;
        rank->loaded_ms = sim->now_ms;
        rank->tainted = false;
    }
    if (is_fetch) {
        rank->fetches = rank->fetches && loaded->load != rank->fetch_load;
        return;
    }
    if (rank->phase != RANK_LOADING || loaded->load != job->load) {
        return;
    }
    rank->answered = true;
    rank->answer = loaded->status;
    rank->answer_step = loaded->step;
    rank->phase = RANK_TRAINING;
    rank_later(sim, job, index, sim_between(sim, 1, 200));
    job_rank_answered(sim, job);
}

void rank_take(struct sim *sim, uint32_t who, struct parcel *parcel)
{
    struct sim_job *job = job_at(sim, who);
    uint32_t index = who % SIM_WORLD_MAX;
    struct sim_rank *rank = &job->ranks[index];
    if (rank->link != parcel->link + 1) {
        return;
    }
    if (parcel->type == PARCEL_DOWN) {
        sim->links[parcel->link].ends[parcel->side].open = false;
        rank->link = 0;
        /* Threads that copy do not look at the socket: they may go on until they have finished. */
        rank->orphan =
            rank->phase == RANK_FILLING && rank->gather_bytes == 0 && sim_chance(sim, PPM / 2);
        if (rank->orphan) {
            read_on(sim, rank);
        } else {
            rank_disconnect(sim, job, index);
        }
        return;
    }
    trace_message(sim, "rank", who, "takes", parcel->link, &parcel->message);
    if (parcel->message.type == MESSAGE_RANK_SEATED &&
        parcel->message.rank_seated.status == CKPT_OK) {
        rank->attempt = parcel->message.rank_seated.attempt;
        rank->start = parcel->message.rank_seated.start;
        job_seated(sim, job, rank->attempt);
    }
    if (parcel->message.type == MESSAGE_RANK_OPENED) {
        take_opened(sim, job, index, &parcel->message.rank_opened);
    } else if (parcel->message.type == MESSAGE_SLOT_GRANTED) {
        rank_save_granted(sim, job, index, parcel);
    } else if (parcel->message.type == MESSAGE_PREPARE) {
        rank_prepare_told(sim, job, index, parcel);
    } else if (parcel->message.type == MESSAGE_GATHERED) {
        rank_save_gathered(sim, job, index, &parcel->message.gathered);
    } else if (parcel->message.type == MESSAGE_LOADED) {
        take_loaded(sim, job, index, parcel);
    } else if (parcel->message.type == MESSAGE_SAVE_OUTCOME &&
               parcel->message.save_outcome.status == CKPT_OK) {
        job->outcomes_ok++;
    }
}
