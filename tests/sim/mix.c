/* SPDX-License-Identifier: Apache-2.0 */
#include "mix.h"

#include <string.h>

#define SEGMENTS_ROOMY 96

const char *fault_kind_name(enum fault_kind kind)
{
    static const char *const names[FAULT_KINDS] = {
        [FAULT_LOSS] = "message lost",
        [FAULT_REPEAT] = "message repeated",
        [FAULT_DELAY] = "message delayed",
        [FAULT_PARTITION] = "partition",
        [FAULT_ONE_WAY] = "one-way partition",
        [FAULT_SWIZZLE] = "swizzled stop",
        [FAULT_LINK_CUT] = "connection cut",
        [FAULT_AGENT_CRASH] = "agent crash",
        [FAULT_AGENT_CRASH_MID_UPDATE] = "agent crash in mid-update",
        [FAULT_AGENT_PAUSE] = "agent pause",
        [FAULT_WIPE] = "node wiped",
        [FAULT_RECORD_CORRUPT] = "slot record damaged",
        [FAULT_COORDINATOR_CRASH] = "coordinator crash",
        [FAULT_COORDINATOR_CRASH_MID_UPDATE] = "coordinator crash in mid-update",
        [FAULT_COORDINATOR_PAUSE] = "coordinator pause",
        [FAULT_RECORDS_LOST] = "unsynced records lost",
        [FAULT_TWO_COORDINATORS] = "two coordinators",
        [FAULT_FLIP_SOURCE] = "bit flip in an owner's copy",
        [FAULT_FLIP_HOLDER] = "bit flip in a holder's copy",
        [FAULT_FLIP_WIRE] = "bit flip in a read",
        [FAULT_FLIP_LANDING] = "bit flip as a read lands",
        [FAULT_LIE] = "lying digest",
        [FAULT_READ_FAILS] = "read failed",
        [FAULT_JOB_FAILS] = "job failure",
        [FAULT_RANK_DIES_FILLING] = "rank died filling",
        [FAULT_WRITE_AFTER_SEAL] = "write after seal",
        [FAULT_ODD_RANK] = "odd rank message",
        [FAULT_FULL_ARENA] = "arena full",
        [FAULT_SLOW_STORE] = "slow store",
        [FAULT_SLOW_COMMIT] = "commit that takes seconds",
        [FAULT_LONG_STALL] = "long stall",
        [FAULT_LATE_RETURN] = "agents later than their coordinator",
        [FAULT_ROLLING] = "rolling restart",
        [FAULT_LATE_RANK] = "rank that opens late",
        [FAULT_GREEDY] = "user that takes what it can",
        [FAULT_TIER_FULL] = "tier full",
        [FAULT_TIER_HANGS] = "tier hangs",
        [FAULT_TIER_LOSES] = "shard lost in the tier",
        [FAULT_TIER_LATE] = "late write to the tier",
        [FAULT_ADMIN] = "admin verb",
        [FAULT_STOP] = "agent stopped in order",
        [FAULT_DRAIN] = "node drained, or no more",
        [FAULT_DRAINED_WIPED] = "drained node wiped",
        [FAULT_NODE_FORGOTTEN] = "node forgotten by hand",
        [FAULT_RUN_FORGOTTEN] = "run forgotten by hand",
    };
    return names[kind];
}

static uint32_t between(struct prng *prng, uint32_t low, uint32_t high)
{
    return low + (uint32_t)prng_below(prng, (uint64_t)high - low + 1);
}

static void draw_sizes(struct prng *prng, struct sim_mix *mix)
{
    mix->nodes = between(prng, 3, 8);
    mix->domains = prng_chance(prng, PPM / 2) ? mix->nodes : between(prng, 2, mix->nodes);
    mix->runs = between(prng, 1, 3);
    mix->segment_bytes = 64 * between(prng, 1, 4);
    mix->keep = between(prng, 1, 2);
    mix->faults_ms = between(prng, 6000, 16000);
    uint32_t arena = between(prng, 0, 9);
    mix->arena = arena < 3   ? ARENA_ROOMY
                 : arena < 7 ? ARENA_DOCUMENTED
                 : arena < 9 ? ARENA_SCANT
                             : ARENA_TIGHT;
    mix->segments = mix->arena == ARENA_ROOMY   ? SEGMENTS_ROOMY
                    : mix->arena == ARENA_TIGHT ? between(prng, 8, 30)
                                                : 0;
    mix->keep += mix->arena == ARENA_SCANT;
    mix->saves_after = between(prng, 1, 4);
    mix->equal_shards = prng_chance(prng, PPM / 2);
    mix->small_tables = prng_chance(prng, PPM / 4);
    mix->through_codec = prng_chance(prng, PPM / 16);
    mix->unfiltered_repeats = prng_chance(prng, PPM / 2);
    mix->paused_memory_serves = prng_chance(prng, PPM / 2);
    mix->late_links = prng_chance(prng, PPM / 4);
    uint32_t digests = between(prng, 0, 7);
    mix->blake3_ppm = digests < 5 ? 0 : digests < 7 ? PPM / 2 : PPM;
    mix->scrub_ms = prng_chance(prng, PPM / 2) ? between(prng, 2000, 10000) : 30 * 60 * 1000;
}

static void draw_rates(struct prng *prng, struct sim_mix *mix)
{
    if (prng_chance(prng, PPM / 2)) {
        mix->loss_ppm = between(prng, 0, 3 * PPM / 10);
    }
    if (prng_chance(prng, PPM / 2)) {
        mix->repeat_ppm = between(prng, 0, PPM / 2);
    }
    mix->delay_max_ms = prng_chance(prng, PPM / 2) ? between(prng, 1, 10) : between(prng, 1, 250);
    if (prng_chance(prng, PPM / 3)) {
        mix->read_fail_ppm = between(prng, 0, PPM / 10);
    }
    if (prng_chance(prng, PPM / 3)) {
        mix->flip_wire_ppm = between(prng, 0, PPM / 10);
    }
    if (prng_chance(prng, PPM / 2)) {
        mix->store_delay_max_ms = between(prng, 1, 60);
    }
    if (prng_chance(prng, PPM / 4)) {
        mix->write_after_seal_ppm = between(prng, PPM / 50, PPM / 4);
    }
    if (prng_chance(prng, PPM / 5)) {
        mix->liar = (int)prng_below(prng, mix->nodes);
        mix->lie_ppm = prng_chance(prng, PPM / 2) ? PPM : between(prng, PPM / 20, PPM / 2);
    }
    mix->odd_ranks = prng_chance(prng, PPM / 4);
    mix->greedy = mix->odd_ranks && prng_chance(prng, PPM / 2);
    if (prng_chance(prng, PPM / 4)) {
        mix->slow_commit_ppm = between(prng, PPM / 100, PPM / 8);
    }
    if (prng_chance(prng, PPM / 4)) {
        mix->late_rank_ppm = between(prng, PPM / 20, PPM / 3);
    }
}

static void draw_gaps(struct prng *prng, struct sim_mix *mix)
{
    static const enum fault_kind kinds[] = {
        FAULT_PARTITION,         FAULT_ONE_WAY,
        FAULT_SWIZZLE,           FAULT_LINK_CUT,
        FAULT_AGENT_CRASH,       FAULT_AGENT_CRASH_MID_UPDATE,
        FAULT_AGENT_PAUSE,       FAULT_WIPE,
        FAULT_COORDINATOR_CRASH, FAULT_COORDINATOR_CRASH_MID_UPDATE,
        FAULT_COORDINATOR_PAUSE, FAULT_TWO_COORDINATORS,
        FAULT_FLIP_SOURCE,       FAULT_FLIP_HOLDER,
        FAULT_JOB_FAILS,         FAULT_RANK_DIES_FILLING,
        FAULT_LATE_RETURN,       FAULT_ROLLING,
    };
    for (uint32_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        bool in = prng_chance(prng, 35 * PPM / 100);
        uint32_t gap = between(prng, 1200, 9000);
        mix->gap_ms[kinds[i]] = in ? gap : 0;
    }
    if (prng_chance(prng, PPM / 5)) {
        mix->gap_ms[FAULT_ADMIN] = between(prng, 1500, 6000);
    }
    if (prng_chance(prng, PPM / 3)) {
        mix->gap_ms[FAULT_STOP] = between(prng, 1200, 9000);
    }
    if (prng_chance(prng, PPM / 4)) {
        mix->gap_ms[FAULT_DRAIN] = between(prng, 800, 4000);
    }
    if (prng_chance(prng, PPM / 8)) {
        mix->gap_ms[FAULT_NODE_FORGOTTEN] = between(prng, 1500, 6000);
    }
    if (prng_chance(prng, PPM / 16)) {
        mix->gap_ms[FAULT_RUN_FORGOTTEN] = between(prng, 1000, 4000);
    }
    if (prng_chance(prng, PPM / 16)) {
        mix->gap_ms[FAULT_LONG_STALL] = between(prng, 4000, 12000);
        mix->faults_ms += between(prng, 10000, 50000);
    }
}

/* Takes away whatever changes or loses a byte of a memory, or a person's word. */
static void spare_memory(struct sim_mix *mix)
{
    static const enum fault_kind kinds[] = {FAULT_WIPE,  FAULT_FLIP_SOURCE,    FAULT_FLIP_HOLDER,
                                            FAULT_ADMIN, FAULT_NODE_FORGOTTEN, FAULT_RUN_FORGOTTEN};
    for (uint32_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        mix->gap_ms[kinds[i]] = 0;
    }
    mix->write_after_seal_ppm = 0;
    mix->liar = -1;
    mix->keeps_memory = true;
}

/* And whatever stands between processes that all run. */
static void spare_network(struct sim_mix *mix)
{
    static const enum fault_kind kinds[] = {FAULT_PARTITION, FAULT_ONE_WAY, FAULT_SWIZZLE,
                                            FAULT_LINK_CUT, FAULT_TWO_COORDINATORS};
    for (uint32_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        mix->gap_ms[kinds[i]] = 0;
    }
    mix->loss_ppm = 0;
    mix->repeat_ppm = 0;
    mix->delay_max_ms = mix->delay_max_ms > 20 ? 20 : mix->delay_max_ms;
    mix->late_links = false;
    mix->read_fail_ppm = 0;
    mix->flip_wire_ppm = 0;
    mix->odd_ranks = false;
    mix->greedy = false;
    mix->only_restarts = true;
}

static void draw_tier(struct prng *prng, struct sim_mix *mix)
{
    static const uint64_t every[] = {1, 1, 1, 3, 10, 0};
    mix->has_tier = prng_chance(prng, PPM * 2 / 3);
    mix->tier_piece_ms = prng_chance(prng, PPM / 2) ? 10 : between(prng, 10, 600);
    mix->persist_every = every[prng_below(prng, sizeof every / sizeof every[0])];
    mix->persist_max_age_ms = prng_chance(prng, PPM / 3) ? between(prng, 500, 4000) : 0;
    if (prng_chance(prng, PPM / 4)) {
        mix->tierless = (uint32_t)prng_below(prng, UINT64_C(1) << mix->nodes);
    }
    static const enum fault_kind kinds[] = {FAULT_TIER_FULL, FAULT_TIER_HANGS, FAULT_TIER_LOSES};
    for (uint32_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        bool in = mix->has_tier && !mix->clean && prng_chance(prng, PPM / 3);
        uint32_t gap = between(prng, 800, 5000);
        mix->gap_ms[kinds[i]] = in ? gap : 0;
    }
}

void sim_mix_draw(struct prng *prng, struct sim_mix *mix_out)
{
    struct sim_mix mix;
    memset(&mix, 0, sizeof mix);
    mix.liar = -1;
    draw_sizes(prng, &mix);
    mix.clean = prng_chance(prng, PPM / 12);
    if (mix.clean) {
        mix.arena = ARENA_ROOMY;
        mix.segments = SEGMENTS_ROOMY;
        mix.delay_max_ms = between(prng, 1, 20);
        mix.gap_ms[FAULT_JOB_FAILS] = prng_chance(prng, PPM / 2) ? 5000 : 0;
    } else {
        draw_rates(prng, &mix);
        draw_gaps(prng, &mix);
        uint32_t spared = between(prng, 0, 9);
        if (spared < 4) {
            spare_memory(&mix);
        }
        if (spared < 3) {
            spare_network(&mix);
        }
    }
    mix.hooks = prng_chance(prng, PPM / 3);
    mix.gathers = prng_chance(prng, PPM / 3);
    mix.page_bytes = prng_chance(prng, PPM * 2 / 3) ? 8u << between(prng, 0, 2) : 0;
    mix.small_shards = prng_chance(prng, PPM / 2);
    mix.prepares = prng_chance(prng, PPM / 2);
    draw_tier(prng, &mix);
    *mix_out = mix;
}
