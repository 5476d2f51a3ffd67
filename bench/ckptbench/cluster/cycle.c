/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/cycle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/reason.h"
#include "process/belongings.h"
#include "memory/buffer.h"
#include "process/clock.h"
#include "memory/copy.h"
#include "process/progress.h"

/* The first saves fault in the rank's mapping of each set of segments that the agent hands out. */
#define WARM_UP_SAVES 4
#define WARM_UP_RESTORES 1
#define WARM_UP_SMALL 20
#define SMALL_BYTES CKPT_MIB

/* Segments that n shards of so many bytes need, their headers included. */
static uint32_t segments_for(uint64_t shard_bytes, uint64_t segment_bytes, uint32_t n)
{
    uint64_t file_bytes = shard_bytes + CKPT_DATA_ALIGN;
    return (uint32_t)((file_bytes + segment_bytes - 1) / segment_bytes) * n;
}

static enum ckpt_status open_cluster(struct cycle *cycle, char *reason)
{
    const struct cycle_options *options = &cycle->options;
    uint64_t rank_bytes = options->bytes / options->ranks;
    uint32_t one = segments_for(rank_bytes, options->segment_bytes, options->ranks);
    uint32_t small = segments_for(SMALL_BYTES, options->segment_bytes, 3);
    struct cluster_options wanted = {
        .directory = cycle->directory,
        .transport = options->transport,
        .segment_bytes = options->segment_bytes,
        /* The consistent checkpoint, the one being saved, and small ones; one of each restored. */
        .segments = {2 * one + small, 2 * one + small, 2 * one},
        .digest = digest_kind_name(options->digest),
        .agent_flags = options->agent_flags,
    };
    progress("cycle: starting a coordinator and %d agents", CLUSTER_AGENTS);
    return cluster_start(&wanted, &cycle->cluster, reason);
}

/* The processes' end removes the lender's and all that is in it. */
static bool make_directory(struct cycle *cycle, const struct cycle *lender)
{
    size_t size = sizeof(cycle->directory);
    if (lender != NULL) {
        return snprintf(cycle->directory, size, "%s/beside", lender->directory) < (int)size &&
               mkdir(cycle->directory, 0700) == 0;
    }
    const char *made = belongings_make_directory(cycle->options.directory, "ckptbench");
    return made != NULL && snprintf(cycle->directory, size, "%s", made) < (int)size;
}

static enum ckpt_status make_memory(struct cycle *cycle, char *reason)
{
    const struct cycle_options *options = &cycle->options;
    struct raw_options raw = {.transport = options->transport,
                              .bytes = options->bytes,
                              .segment_bytes = options->segment_bytes};
    progress("cycle: memory");
    enum ckpt_status status = raw_open(&raw, &cycle->raw, reason);
    if (status != CKPT_OK) {
        return status;
    }
    cycle->data = buffer_make(options->bytes);
    cycle->copy = buffer_make(options->bytes);
    if (cycle->data == NULL || cycle->copy == NULL) {
        return reason_refuse(reason, CKPT_ERR_MEMORY,
                             "no memory for two buffers of %" PRIu64 " bytes", options->bytes);
    }
    buffer_fill(cycle->data, options->bytes, 1);
    return CKPT_OK;
}

static void borrow_memory(struct cycle *cycle, const struct cycle *lender)
{
    cycle->borrows = true;
    cycle->raw = lender->raw;
    cycle->data = lender->data;
    cycle->copy = lender->copy;
}

enum ckpt_status cycle_open(const struct cycle_options *options, const struct cycle *lender,
                            struct cycle *cycle, char *reason)
{
    static const uint8_t secret[FINGERPRINT_SECRET_BYTES] = {1};
    cycle->options = *options;
    if (!make_directory(cycle, lender)) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM, "cannot make a directory in %.100s: %s",
                             options->directory, strerror(errno));
    }
    enum ckpt_status status = open_cluster(cycle, reason);
    if (status == CKPT_OK && lender != NULL) {
        borrow_memory(cycle, lender);
    } else if (status == CKPT_OK) {
        status = make_memory(cycle, reason);
    }
    if (status != CKPT_OK) {
        return status;
    }
    fingerprint_key_derive(secret, &cycle->key);
    cycle->ranks = (struct ranks){.run = "ckptbench",
                                  .count = options->ranks,
                                  .copy_threads = options->copy_threads,
                                  .timeout_ms = options->timeout_ms,
                                  .data = cycle->data,
                                  .bytes = options->bytes / options->ranks};
    cycle->cores = sysconf(_SC_NPROCESSORS_ONLN);
    return digest_engine_select(NULL, &cycle->engine);
}

void cycle_close(struct cycle *cycle)
{
    ranks_close(&cycle->ranks);
    if (!cycle->borrows) {
        raw_close(&cycle->raw);
        buffer_free(&cycle->data, cycle->options.bytes);
        buffer_free(&cycle->copy, cycle->options.bytes);
    }
}

/* Every step has bytes of its own, so that none can be taken for another. */
static void stamp(struct cycle *cycle)
{
    for (uint32_t i = 0; i < cycle->ranks.count; i++) {
        uint64_t step = cycle->ranks.step + 1;
        memcpy(cycle->data + i * cycle->ranks.bytes, &step, sizeof(step));
    }
}

/* What the last turn left to do (freeing, messages) is done elsewhere in this time. */
static void settle(void)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    nanosleep(&pause, NULL);
}

static void measure_memory(struct cycle *cycle)
{
    uint64_t most = 0;
    for (size_t i = 0; i < CLUSTER_AGENTS; i++) {
        uint64_t bytes;
        if (cluster_memory_beyond(&cycle->cluster.agents[i], &bytes) != CKPT_OK) {
            return;
        }
        most = bytes > most ? bytes : most;
    }
    samples_add(&cycle->memory_beyond, (double)most);
}

/* The reason of a failure, if it is one: a dead daemon's before its consequence's. */
static void explain_ranks(const struct cycle *cycle, const struct ranks *ranks, const char *what,
                          enum ckpt_status status, char *missing_out)
{
    char reason[CKPT_REASON_MAX + 1];
    if (status == CKPT_OK) {
        return;
    }
    if (cluster_check(&cycle->cluster, reason) != CKPT_OK) {
        reason_set(missing_out, "%.40s: %.200s", what, reason);
    } else {
        reason_set(missing_out, "%.40s: %.200s", what,
                   ranks->reason[0] != '\0' ? ranks->reason : ckpt_status_text(status));
    }
}

static void explain(const struct cycle *cycle, const char *what, enum ckpt_status status,
                    char *missing_out)
{
    explain_ranks(cycle, &cycle->ranks, what, status, missing_out);
}

static double per_gb(const struct cycle *cycle, double seconds)
{
    return seconds / (double)cycle->options.bytes * 1e9;
}

/* One thread over what was saved. */
static double measure_digest(const struct cycle *cycle)
{
    struct digest digest;
    uint64_t start = clock_now_ns();
    if (cycle->options.digest == DIGEST_KIND_FINGERPRINT) {
        fingerprint_bytes(cycle->engine, &cycle->key, cycle->data, cycle->options.bytes, &digest);
    } else {
        digest_bytes(cycle->engine, cycle->data, cycle->options.bytes, &digest);
    }
    return seconds_since(start);
}

/* A raw read before and one after what is compared with it: the machine changes in between. */
struct raw_pair {
    double seconds; /* the mean of both, as of cpu_s */
    double cpu_s;
};

static enum ckpt_status raw_add(struct cycle *cycle, struct raw_pair *pair)
{
    const struct raw_plan as_liked = {.bytes = 0};
    double seconds, cpu_s;
    enum ckpt_status status =
        raw_read(cycle->raw, &as_liked, &seconds, &cpu_s, cycle->ranks.reason);
    if (status == CKPT_OK) {
        pair->seconds += seconds / 2;
        pair->cpu_s += cpu_s / 2;
    }
    return status;
}

/* What could be at best: the transport's own time, or the CPU time of its two ends and of the
 * digests spread evenly over all cores, whichever is longer. */
static double roof_gbps(const struct cycle *cycle, const struct raw_pair *raw, double digest_s,
                        int digests)
{
    double busy = (raw->cpu_s + digests * digest_s) / (double)cycle->cores;
    return gbps(cycle->options.bytes, busy > raw->seconds ? busy : raw->seconds);
}

/* A raw read, memcpy, save, wait for CONSISTENT, a raw read, a digest. */
static enum ckpt_status save_turn(struct cycle *cycle, bool counts)
{
    uint64_t bytes = cycle->options.bytes;
    double copied, saved, waited;
    double cpu = 0;
    struct raw_pair raw = {.seconds = 0};
    stamp(cycle);
    settle();
    enum ckpt_status status = raw_add(cycle, &raw);
    if (status == CKPT_OK) {
        status = copy_measure(cycle->copy, cycle->data, bytes,
                              cycle->options.copy_threads * cycle->options.ranks, &copied);
    }
    if (status == CKPT_OK) {
        status = ranks_save(&cycle->ranks, &saved);
    }
    if (status == CKPT_OK) {
        cpu = cluster_cpu_s(&cycle->cluster);
        status = ranks_wait(&cycle->ranks, &waited);
        cpu = cluster_cpu_s(&cycle->cluster) - cpu;
    }
    if (status == CKPT_OK) {
        status = raw_add(cycle, &raw);
    }
    if (status != CKPT_OK) {
        return status;
    }
    double digested = measure_digest(cycle);
    if (counts) {
        samples_add(&cycle->memcpy_gbps, gbps(bytes, copied));
        samples_add(&cycle->save_gbps, gbps(bytes, saved));
        samples_add(&cycle->stall_ratio, copied / saved);
        samples_add(&cycle->consistent_s, waited);
        samples_add(&cycle->replicate_gbps, gbps(bytes, waited));
        samples_add(&cycle->raw_gbps, gbps(bytes, raw.seconds));
        samples_add(&cycle->raw_cpu, per_gb(cycle, raw.cpu_s));
        samples_add(&cycle->replicate_cpu, per_gb(cycle, cpu));
        samples_add(&cycle->replicate_roof, roof_gbps(cycle, &raw, digested, 2));
        samples_add(&cycle->replicate_ratio, raw.seconds / waited);
        samples_add(&cycle->digest_gbps, gbps(bytes, digested));
        measure_memory(cycle);
    }
    return CKPT_OK;
}

/* Which goes first in a turn: each as often as the others. */
static struct cycle *in_turn(struct cycle *const *cycles, size_t count, uint32_t turn, size_t i)
{
    return cycles[(turn + i) % count];
}

static void measure_saves(struct cycle *const *cycles, size_t count)
{
    uint32_t turns = WARM_UP_SAVES + cycles[0]->options.repeat;
    enum ckpt_status status = CKPT_OK;
    for (size_t i = 0; i < count && status == CKPT_OK; i++) {
        status = ranks_open(&cycles[i]->ranks, cycles[i]->cluster.agents[AGENT_OWNER].socket);
        explain(cycles[i], "save and replicate", status, cycles[i]->save_missing);
    }
    for (uint32_t turn = 0; turn < turns; turn++) {
        bool counts = turn >= WARM_UP_SAVES;
        progress_part(turn, turns, "cycle: save and replicate, %s %u of %u",
                      counts ? "turn" : "warm-up", counts ? turn + 1 - WARM_UP_SAVES : turn + 1,
                      counts ? cycles[0]->options.repeat : WARM_UP_SAVES);
        for (size_t i = 0; i < count && status == CKPT_OK; i++) {
            struct cycle *cycle = in_turn(cycles, count, turn, i);
            status = save_turn(cycle, counts);
            explain(cycle, "save and replicate", status, cycle->save_missing);
        }
    }
    for (size_t i = 0; i < count; i++) {
        ranks_close(&cycles[i]->ranks);
    }
}

static enum ckpt_status small_turn(struct cycle *cycle, struct ranks *small, bool counts)
{
    double saved, waited;
    enum ckpt_status status = ranks_save(small, &saved);
    if (status == CKPT_OK) {
        status = ranks_wait(small, &waited);
    }
    if (status == CKPT_OK && counts) {
        samples_add(&cycle->small_save_ms, saved * 1e3);
        samples_add(&cycle->small_consistent_ms, waited * 1e3);
    }
    return status;
}

/* Saves of one small shard of a run of its own, each waited for. */
static void measure_small(struct cycle *const *cycles, size_t count)
{
    struct ranks small[CYCLES_MAX];
    uint32_t turns = WARM_UP_SMALL + cycles[0]->options.small_repeat;
    enum ckpt_status status = CKPT_OK;
    for (size_t i = 0; i < count; i++) {
        small[i] = (struct ranks){.run = "ckptbench-small",
                                  .count = 1,
                                  .copy_threads = 1,
                                  .timeout_ms = cycles[i]->options.timeout_ms,
                                  .data = cycles[i]->data,
                                  .bytes = SMALL_BYTES};
        if (status == CKPT_OK) {
            status = ranks_open(&small[i], cycles[i]->cluster.agents[AGENT_OWNER].socket);
            explain_ranks(cycles[i], &small[i], "small saves", status, cycles[i]->small_missing);
        }
    }
    for (uint32_t turn = 0; turn < turns; turn++) {
        if (turn % 16 == 0) {
            progress_part(turn, turns, "cycle: small saves, %u of %u", turn,
                          cycles[0]->options.small_repeat);
        }
        for (size_t i = 0; i < count && status == CKPT_OK; i++) {
            size_t which = (turn + i) % count;
            status = small_turn(cycles[which], &small[which], turn >= WARM_UP_SMALL);
            explain_ranks(cycles[which], &small[which], "small saves", status,
                          cycles[which]->small_missing);
        }
    }
    for (size_t i = 0; i < count; i++) {
        ranks_close(&small[i]);
    }
}

/* The next attempt loads at an agent; checks the bytes. */
static enum ckpt_status load_at(struct cycle *cycle, enum cluster_agent_role role,
                                double *seconds_out)
{
    enum ckpt_status status = ranks_open(&cycle->ranks, cycle->cluster.agents[role].socket);
    if (status == CKPT_OK) {
        settle();
        status = ranks_load(&cycle->ranks, seconds_out);
    }
    if (status == CKPT_OK) {
        status = ranks_compare(&cycle->ranks);
    }
    ranks_close(&cycle->ranks);
    return status;
}

/* A new step, which the restoring agent has not; a load where it was saved; a raw read; a load from
 * the peer. In this order: who loads elsewhere takes the checkpoint along, and of the three copies
 * that there are then, the one where it was saved may be let go. */
static enum ckpt_status restore_turn(struct cycle *cycle, bool counts)
{
    uint64_t bytes = cycle->options.bytes;
    double unused, restored, local;
    double cpu = 0;
    struct raw_pair raw = {.seconds = 0};
    stamp(cycle);
    enum ckpt_status status = ranks_open(&cycle->ranks, cycle->cluster.agents[AGENT_OWNER].socket);
    if (status == CKPT_OK) {
        status = ranks_save(&cycle->ranks, &unused);
    }
    if (status == CKPT_OK) {
        status = ranks_wait(&cycle->ranks, &unused);
    }
    ranks_close(&cycle->ranks);
    if (status == CKPT_OK) {
        status = load_at(cycle, AGENT_OWNER, &local);
    }
    if (status == CKPT_OK) {
        status = raw_add(cycle, &raw);
    }
    if (status == CKPT_OK) {
        cpu = cluster_cpu_s(&cycle->cluster);
        status = load_at(cycle, AGENT_RESTORER, &restored);
        cpu = cluster_cpu_s(&cycle->cluster) - cpu;
    }
    if (status == CKPT_OK) {
        status = raw_add(cycle, &raw);
    }
    double digested = measure_digest(cycle);
    if (status == CKPT_OK && counts) {
        samples_add(&cycle->raw_restore_gbps, gbps(bytes, raw.seconds));
        samples_add(&cycle->restore_s, restored);
        samples_add(&cycle->restore_gbps, gbps(bytes, restored));
        samples_add(&cycle->restore_ratio, raw.seconds / restored);
        samples_add(&cycle->restore_cpu, per_gb(cycle, cpu));
        samples_add(&cycle->restore_roof, roof_gbps(cycle, &raw, digested, 1));
        samples_add(&cycle->local_restore_s, local);
        measure_memory(cycle);
    }
    return status;
}

static void measure_restores(struct cycle *const *cycles, size_t count)
{
    uint32_t turns = WARM_UP_RESTORES + cycles[0]->options.repeat;
    enum ckpt_status status = CKPT_OK;
    for (uint32_t turn = 0; turn < turns; turn++) {
        bool counts = turn >= WARM_UP_RESTORES;
        progress_part(turn, turns, "cycle: restore, %s %u of %u", counts ? "turn" : "warm-up",
                      counts ? turn + 1 - WARM_UP_RESTORES : turn + 1,
                      counts ? cycles[0]->options.repeat : WARM_UP_RESTORES);
        for (size_t i = 0; i < count && status == CKPT_OK; i++) {
            struct cycle *cycle = in_turn(cycles, count, turn, i);
            status = restore_turn(cycle, counts);
            explain(cycle, "restore", status, cycle->restore_missing);
        }
    }
}

void cycle_measure(struct cycle *const *cycles, size_t count)
{
    measure_saves(cycles, count);
    measure_small(cycles, count);
    measure_restores(cycles, count);
}

/* What of `above` is how often what of `below`, in each turn that both have had. */
static void divide(const struct samples *above, const struct samples *below,
                   struct samples *ratio_out)
{
    for (size_t i = 0; i < above->count && i < below->count; i++) {
        samples_add(ratio_out, above->values[i] / below->values[i]);
    }
}

void cycle_compare(const struct cycle *first, const struct cycle *second,
                   struct cycle_pairs *pairs_out)
{
    divide(&second->replicate_gbps, &first->replicate_gbps, &pairs_out->replicate_speedup);
    divide(&second->restore_gbps, &first->restore_gbps, &pairs_out->restore_speedup);
    divide(&first->local_restore_s, &second->local_restore_s, &pairs_out->local_restore_speedup);
    divide(&second->replicate_cpu, &first->replicate_cpu, &pairs_out->cpu_ratio);
    divide(&second->small_consistent_ms, &first->small_consistent_ms, &pairs_out->small_ratio);
}
