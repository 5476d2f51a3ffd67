/* SPDX-License-Identifier: Apache-2.0 */
/* A group of real processes that fetch a shard together, and what may happen to one of them. */
#ifndef CKPT_TESTS_FANOUT_TRIAL_H
#define CKPT_TESTS_FANOUT_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include <ckpt/fanout.h>

#include "base/limits.h"

#define TRIAL_RANKS_MAX 8
#define TRIAL_NOBODY UINT32_MAX

enum trial_fault {
    TRIAL_NO_FAULT,
    TRIAL_NEVER_JOINS,   /* it is there, and does nothing */
    TRIAL_NEVER_FETCHES, /* it joins, and then does nothing */
    TRIAL_DIES,          /* some time after its fetch began */
    TRIAL_STOPS,         /* the same, and its connections stay */
    TRIAL_FLIPS,         /* a bit of its memory, in a piece that has come */
    TRIAL_NO_SHARD,      /* its source has none, whenever it is asked */
    TRIAL_NO_SHARD_ONCE, /* its source has none when it is asked first */
    TRIAL_OTHER_SHARD,   /* its source says another digest */
    TRIAL_OTHER_STEP,    /* it wants another step */
};

struct trial {
    uint32_t ranks;
    uint32_t senders;
    uint32_t road;  /* enum ckpt_fanout_road */
    uint32_t shape; /* enum fanout_shape */
    uint32_t digest_kind;
    uint64_t bytes;       /* of the shard; 0: 5 MiB and some */
    uint64_t piece_bytes; /* 0: 1 MiB */
    uint64_t pace_bytes_s;
    uint32_t timeout_ms; /* 0: 20,000, of a join and of each fetch */
    uint32_t stall_ms;   /* 0: 1000 */
    uint32_t fetches;    /* 0: 1 */
    uint32_t who;        /* has the fault */
    enum trial_fault fault;
    uint32_t after_ms;       /* DIES, STOPS */
    const char *environment; /* "NAME=value" of who, or of all; NULL: none */
};

/* What a rank saw. Of one that died or stopped nothing is set. */
struct trial_rank {
    bool has_ended;
    bool is_right; /* of each fetch that went well: the bytes, and what is said of them */
    uint32_t source_calls;
    uint32_t way; /* of the last fetch */
    enum ckpt_status joined;
    enum ckpt_status status; /* of the last fetch */
    uint64_t join_ms;
    uint64_t fetch_ms; /* the longest */
    char reason[CKPT_REASON_MAX + 1];
};

struct trial_result {
    struct trial_rank ranks[TRIAL_RANKS_MAX];
};

/* Runs it; no process of it is left. */
void trial_run(const struct trial *trial, struct trial_result *result_out);

#endif
