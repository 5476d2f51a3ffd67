/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/fanout/trial.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/prng.h"
#include "base/reason.h"
#include "digest/digest.h"
#include "fanout/fetch.h"
#include "fanout/state.h"

#define STEP 7
#define SHARD 3
#define ATTEMPT 2
#define WORLD 16

/* What the processes share. */
struct board {
    _Atomic uint32_t has_id;
    uint8_t id[CKPT_FANOUT_ID_BYTES];
    struct trial_result result;
};

struct rank {
    const struct trial *trial;
    uint32_t rank;
    struct board *board;
    uint8_t *shard;
    uint64_t bytes;
    struct digest digest;
};

static void pause_ms(unsigned ms)
{
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* A safetensors file of one tensor. */
static void make_shard(struct rank *self)
{
    char header[128];
    struct prng prng;
    uint64_t bytes = self->trial->bytes != 0 ? self->trial->bytes : 5 * CKPT_MIB + 12345;
    self->bytes = bytes;
    self->shard = malloc(bytes);
    uint64_t data = bytes - 8 - 96;
    int length = snprintf(header, sizeof(header),
                          "{\"t\":{\"dtype\":\"U8\",\"shape\":[%llu],\"data_offsets\":[0,%llu]}}",
                          (unsigned long long)data, (unsigned long long)data);
    store_le64(self->shard, 96);
    memset(self->shard + 8, ' ', 96);
    memcpy(self->shard + 8, header, (size_t)length);
    prng_seed(&prng, 5);
    for (uint64_t i = 8 + 96; i < bytes; i++) {
        self->shard[i] = (uint8_t)prng_next(&prng);
    }
    const struct digest_engine *engine;
    digest_engine_select(NULL, &engine);
    digest_bytes(engine, self->shard, bytes, &self->digest);
    if (self->trial->digest_kind == CKPT_DIGEST_FINGERPRINT) { /* of a key that nobody here has */
        self->digest.bytes[0] ^= 0xff;
    }
}

static bool has_fault(const struct rank *self, enum trial_fault fault)
{
    return self->trial->fault == fault && self->trial->who == self->rank;
}

static enum ckpt_status source_fetch(void *context, uint64_t step, uint32_t rank,
                                     uint32_t timeout_ms, struct ckpt_shard *shard_out,
                                     char *reason)
{
    struct rank *self = context;
    struct trial_rank *seen = &self->board->result.ranks[self->rank];
    (void)timeout_ms;
    seen->source_calls++;
    if (has_fault(self, TRIAL_NO_SHARD) ||
        (has_fault(self, TRIAL_NO_SHARD_ONCE) && seen->source_calls == 1)) {
        return reason_refuse(reason, CKPT_ERR_LOST, "the source has none");
    }
    *shard_out = (struct ckpt_shard){.step = step,
                                     .attempt = ATTEMPT,
                                     .rank = rank,
                                     .world = WORLD,
                                     .digest_kind = self->trial->digest_kind,
                                     .data = self->shard,
                                     .bytes = self->bytes};
    memcpy(shard_out->digest, self->digest.bytes, sizeof(shard_out->digest));
    shard_out->digest[1] ^= has_fault(self, TRIAL_OTHER_SHARD);
    return CKPT_OK;
}

static void source_unload(void *context, struct ckpt_shard *shard)
{
    (void)context;
    memset(shard, 0, sizeof(*shard));
}

/* Its own road with another `take`, which spoils the second round's bytes once they are there. */
static const struct fanout_road *inner;
static struct fanout_road spoiling;
static uint8_t *spoiled_target;
static unsigned takes;

static enum ckpt_status begin_and_note(void *road, const struct road_shard *shard, char *reason)
{
    spoiled_target = shard->target;
    return inner->begin(road, shard, reason);
}

static enum ckpt_status take_and_spoil(void *road, char *reason)
{
    enum ckpt_status status = inner->take(road, reason);
    if (status == CKPT_OK && ++takes == 2 && spoiled_target != NULL) {
        spoiled_target[CKPT_MIB + 77] ^= 0x10;
    }
    return status;
}

static void spoil(struct ckpt_fanout *group)
{
    inner = group->ops;
    spoiling = *inner;
    spoiling.begin = begin_and_note;
    spoiling.take = take_and_spoil;
    group->ops = &spoiling;
}

static void *end_later(void *context)
{
    const struct rank *self = context;
    pause_ms(self->trial->after_ms);
    if (self->trial->fault == TRIAL_DIES) {
        _exit(0);
    }
    raise(SIGSTOP);
    return NULL;
}

static bool is_right(const struct rank *self, const struct ckpt_fanout_shard *shard)
{
    struct ckpt_tensor tensor;
    return shard->bytes == self->bytes && memcmp(shard->data, self->shard, self->bytes) == 0 &&
           shard->step == STEP && shard->rank == SHARD && shard->attempt == ATTEMPT &&
           shard->world == WORLD && shard->digest_kind == self->trial->digest_kind &&
           memcmp(shard->digest, self->digest.bytes, 32) == 0 && shard->tensor_count == 1 &&
           ckpt_fanout_find(shard, "t", &tensor) == CKPT_OK &&
           tensor.data == (const uint8_t *)shard->data + 8 + 96 &&
           ckpt_fanout_tensor_at(shard, 0, &tensor) == CKPT_OK &&
           ckpt_fanout_find(shard, "u", &tensor) == CKPT_ERR_NOT_FOUND;
}

static struct ckpt_fanout *join(struct rank *self, struct trial_rank *seen)
{
    const struct trial *trial = self->trial;
    struct ckpt_fanout *group;
    struct ckpt_fanout_options options = {
        .size = sizeof(options),
        .rank = self->rank,
        .ranks = trial->ranks,
        .senders = trial->senders,
        .road = trial->road,
        .stall_ms = trial->stall_ms != 0 ? trial->stall_ms : 1000,
        .piece_bytes = trial->piece_bytes != 0 ? trial->piece_bytes : CKPT_MIB,
        .device = (int32_t)self->rank % 2,
    };
    if (ckpt_fanout_open(&options, &group, seen->reason, sizeof(seen->reason)) != CKPT_OK) {
        _exit(3);
    }
    group->settings.shape = trial->shape;
    group->pace_bytes_s = trial->pace_bytes_s;
    if (self->rank == 0) {
        ckpt_fanout_id(group, self->board->id);
        atomic_store(&self->board->has_id, 1);
    }
    while (atomic_load(&self->board->has_id) == 0) {
        pause_ms(1);
    }
    if (has_fault(self, TRIAL_NEVER_JOINS)) {
        pause();
    }
    uint64_t from = clock_now_ms();
    seen->joined = ckpt_fanout_join(group, self->rank == 0 ? NULL : self->board->id,
                                    trial->timeout_ms != 0 ? trial->timeout_ms : 20000);
    seen->join_ms = clock_now_ms() - from;
    return group;
}

static void fetch(struct rank *self, struct ckpt_fanout *group, struct trial_rank *seen)
{
    struct ckpt_fanout_shard shard;
    struct fanout_source source = {self, source_fetch, source_unload};
    uint64_t from = clock_now_ms();
    seen->status =
        fetch_shard(group, &source, has_fault(self, TRIAL_OTHER_STEP) ? STEP + 1 : STEP, SHARD,
                    self->trial->timeout_ms != 0 ? self->trial->timeout_ms : 20000, &shard);
    uint64_t took = clock_now_ms() - from;
    seen->fetch_ms = took > seen->fetch_ms ? took : seen->fetch_ms;
    snprintf(seen->reason, sizeof(seen->reason), "%s", ckpt_fanout_reason(group));
    if (seen->status == CKPT_OK) {
        seen->way = shard.way;
        seen->is_right = seen->is_right && is_right(self, &shard);
        ckpt_fanout_release(group, &shard);
    }
}

static void be_rank(struct rank *self)
{
    const struct trial *trial = self->trial;
    struct trial_rank *seen = &self->board->result.ranks[self->rank];
    if (trial->environment != NULL && (trial->who == self->rank || trial->who == TRIAL_NOBODY)) {
        putenv((char *)(uintptr_t)trial->environment);
    }
    make_shard(self);
    struct ckpt_fanout *group = join(self, seen);
    seen->is_right = true;
    if (has_fault(self, TRIAL_NEVER_FETCHES)) {
        pause();
    }
    if (has_fault(self, TRIAL_FLIPS) && group->ops != NULL) {
        spoil(group);
    }
    pthread_t thread;
    if (has_fault(self, TRIAL_DIES) || has_fault(self, TRIAL_STOPS)) {
        pthread_create(&thread, NULL, end_later, self);
    }
    for (uint32_t i = 0; i < (trial->fetches != 0 ? trial->fetches : 1); i++) {
        fetch(self, group, seen);
    }
    ckpt_fanout_close(&group);
    free(self->shard);
    seen->has_ended = true;
}

void trial_run(const struct trial *trial, struct trial_result *result_out)
{
    pid_t children[TRIAL_RANKS_MAX];
    bool is_odd = trial->fault == TRIAL_STOPS || trial->fault == TRIAL_NEVER_JOINS ||
                  trial->fault == TRIAL_NEVER_FETCHES;
    struct board *board =
        mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (uint32_t i = 0; i < trial->ranks; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            struct rank self = {.trial = trial, .rank = i, .board = board};
            be_rank(&self);
            exit(0); /* what looks for leaks looks */
        }
    }
    for (uint32_t i = 0; i < trial->ranks; i++) {
        int status;
        if (!is_odd || i != trial->who) {
            waitpid(children[i], &status, 0);
            /* What a sanitizer found is its exit. */
            board->result.ranks[i].has_ended = board->result.ranks[i].has_ended && status == 0;
        }
    }
    if (is_odd) {
        kill(children[trial->who], SIGKILL);
        waitpid(children[trial->who], NULL, 0);
    }
    *result_out = board->result;
    munmap(board, sizeof(*board));
}
