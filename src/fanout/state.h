/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's end of a group. */
#ifndef CKPT_FANOUT_STATE_H
#define CKPT_FANOUT_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include <ckpt/fanout.h>

#include "base/limits.h"
#include "fanout/road.h"
#include "fanout/star.h"
#include "fanout/words.h"

#define GROUP_ROADS 2

/* Where a sender's shard comes from, and any rank's when the group fails: libckpt. */
struct fanout_source {
    void *context;
    enum ckpt_status (*fetch)(void *context, uint64_t step, uint32_t rank, uint32_t timeout_ms,
                              struct ckpt_shard *shard_out, char *reason);
    void (*unload)(void *context, struct ckpt_shard *shard);
};

struct held; /* a shard that was given to the caller: held.h */

struct ckpt_fanout {
    uint32_t rank;
    uint32_t ranks;
    int device;
    uint32_t wish;                      /* enum ckpt_fanout_road */
    char address[CKPT_ADDRESS_MAX + 1]; /* as it was given: a host; "": none was */
    char door[TCP_ADDRESS_BYTES];       /* the leader's */
    uint8_t token[TOKEN_BYTES];
    uint64_t pace_bytes_s; /* of sockets; for what stands for a slow link */

    struct star *star;
    void *roads[GROUP_ROADS]; /* opened, by their place in group.c's table; NULL: not */
    char ways_in[GROUP_ROADS][ROAD_ADDRESS_BYTES];
    const struct fanout_road *ops; /* of the one that was chosen */
    void *road;
    struct word_settings settings; /* the leader's, which hold for all */
    uint32_t sender_count;

    bool was_asked; /* to join */
    bool is_whole;  /* joined, and has not failed */
    uint32_t fetch; /* counts them */
    struct held *held;
    char reason[CKPT_REASON_MAX + 1];
};

static inline bool group_leads(const struct ckpt_fanout *group)
{
    return group->rank == 0;
}

#endif
