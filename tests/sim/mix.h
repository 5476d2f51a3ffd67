/* SPDX-License-Identifier: Apache-2.0 */
/* What one seed is: how large the cluster, what the jobs do, which faults come how often. Swarm
 * testing: each fault is in about half the seeds and its strength is drawn, so that rare meetings
 * of two faults are not drowned by a third. */
#ifndef CKPT_SIM_MIX_H
#define CKPT_SIM_MIX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

#define PPM 1000000u

enum fault_kind {
    FAULT_LOSS = 0,
    FAULT_REPEAT,
    FAULT_DELAY,
    FAULT_PARTITION,
    FAULT_ONE_WAY,
    FAULT_SWIZZLE,
    FAULT_LINK_CUT,
    FAULT_AGENT_CRASH,
    FAULT_AGENT_CRASH_MID_UPDATE,
    FAULT_AGENT_PAUSE,
    FAULT_WIPE,
    FAULT_RECORD_CORRUPT,
    FAULT_COORDINATOR_CRASH,
    FAULT_COORDINATOR_CRASH_MID_UPDATE,
    FAULT_COORDINATOR_PAUSE,
    FAULT_RECORDS_LOST,
    FAULT_TWO_COORDINATORS,
    FAULT_FLIP_SOURCE,
    FAULT_FLIP_HOLDER,
    FAULT_FLIP_WIRE,
    FAULT_FLIP_LANDING, /* between what came and what lies in memory */
    FAULT_LIE,
    FAULT_READ_FAILS,
    FAULT_JOB_FAILS,
    FAULT_RANK_DIES_FILLING,
    FAULT_WRITE_AFTER_SEAL,
    FAULT_ODD_RANK,
    FAULT_FULL_ARENA,
    FAULT_SLOW_STORE,
    FAULT_SLOW_COMMIT, /* seconds, as a busy disk takes */
    FAULT_LONG_STALL,  /* of any machine, up to minutes */
    FAULT_LATE_RETURN, /* the coordinator starts anew and agents come back later than it */
    FAULT_ROLLING,     /* every agent in turn is started anew */
    FAULT_LATE_RANK,   /* a rank of a start opens long after the others */
    FAULT_GREEDY,      /* a user takes runs and seats that nobody needs */
    FAULT_TIER_FULL,
    FAULT_TIER_HANGS,
    FAULT_TIER_LOSES, /* a shard that no manifest speaks of yet */
    FAULT_TIER_LATE,  /* a write that was given up lands after all */
    /* Not faults: operator.c */
    FAULT_ADMIN, /* retire and verify by hand */
    FAULT_STOP,
    FAULT_DRAIN,
    FAULT_DRAINED_WIPED, /* a node that may go does */
    FAULT_NODE_FORGOTTEN,
    FAULT_RUN_FORGOTTEN,
    FAULT_KINDS
};

const char *fault_kind_name(enum fault_kind kind);

enum arena_size {
    ARENA_ROOMY = 0,  /* for everything at once */
    ARENA_DOCUMENTED, /* what docs/operating.md asks for */
    ARENA_SCANT,      /* what it asks for to keep one, where two or three are to be kept */
    ARENA_TIGHT,      /* less: a refused save is right there */
};

/* How often a kind strikes: events an hour of virtual time would be unreadable, so: the mean gap in
 * ms, 0 for never. */
struct sim_mix {
    bool clean; /* no fault at all; everything that is asked for must succeed */
    /* What the drawn faults leave alone; judges may be stricter there. */
    bool keeps_memory;  /* no byte of a memory changes or is lost */
    bool only_restarts; /* and the network is a good one: processes stop, stand still,
                         * start anew; disks are slow */

    uint32_t nodes;
    uint32_t domains;
    uint32_t runs;
    uint32_t segment_bytes;
    enum arena_size arena;
    uint32_t page_bytes; /* of the parts that small shards take; 0: all take segments */
    bool small_shards;   /* some are */
    uint32_t slots;      /* of each node */
    uint32_t segments;   /* of each node; 0: as docs/operating.md says, once the jobs are drawn */
    uint32_t keep;
    uint32_t
        saves_after; /* that must be, after the faults: few leave old checkpoints to be judged */
    bool equal_shards;
    uint32_t faults_ms;      /* the faults stop then */
    bool small_tables;       /* the coordinator's are no larger than this cluster needs */
    bool through_codec;      /* messages pass the real encoder and decoder */
    bool unfiltered_repeats; /* repeats carry a sequence of their own */

    bool late_links; /* a coordinator's words may arrive after their connection ended */

    uint32_t loss_ppm;
    uint32_t repeat_ppm;
    uint32_t delay_max_ms;
    uint32_t read_fail_ppm; /* of chunks */
    uint32_t flip_wire_ppm; /* of chunks */
    uint32_t store_delay_max_ms;
    uint32_t write_after_seal_ppm;
    uint32_t lie_ppm;          /* of the liar's digests */
    int liar;                  /* node, or -1 */
    bool paused_memory_serves; /* one-sided reads of a stopped process succeed */
    bool odd_ranks;
    bool greedy;              /* odd ranks also take names and seats */
    uint32_t slow_commit_ppm; /* of transactions: seconds instead of milliseconds */
    uint32_t late_rank_ppm;   /* of the ranks of a start */
    uint32_t blake3_ppm;      /* of the coordinators' lives: runs that begin in it have no key */
    uint32_t scrub_ms;        /* each copy is proven again within it */
    bool gathers;             /* ranks have device memory, which their agents read */
    bool prepares;            /* ranks ask for the memory of saves to come */
    bool hooks;               /* a scheduler tells the agents when a job begins and ends */
    bool has_tier;
    uint32_t tierless;      /* bit a node: it has none */
    uint32_t tier_piece_ms; /* what a piece of a shard takes at most on its way there */
    uint64_t persist_every; /* as the coordinators are told; the next too */
    uint32_t persist_max_age_ms;
    uint32_t gap_ms[FAULT_KINDS]; /* of those that the nemesis starts */
};

/* Draws everything from prng. */
void sim_mix_draw(struct prng *prng, struct sim_mix *mix_out);

#endif
