/* SPDX-License-Identifier: Apache-2.0 */
/* One TCP connection that blocks of a shard go by, in one direction. Never blocks. */
#ifndef CKPT_FANOUT_LANE_H
#define CKPT_FANOUT_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ckpt/status.h>

#include "fanout/plan.h"
#include "fanout/road.h"

/* What a connection begins with, from who made it. */
struct lane_hello {
    uint8_t key[ROAD_KEY_BYTES];
    uint32_t rank;
    uint32_t version;
};

/* What comes before a block's bytes. */
struct lane_frame {
    uint64_t block;
    uint32_t bytes;
    uint32_t fetch; /* counts the shards of a road */
};

struct lane_out {
    int fd; /* -1: not made yet */
    bool connecting;
    size_t hello_sent;
    uint32_t *queue; /* blocks to send, from `first` on; room for each block once */
    uint64_t first;
    uint64_t count;
    struct lane_frame frame; /* of the block at `first` */
    size_t sent;             /* of the frame and the bytes behind it */
};

struct lane_in {
    int fd;
    struct lane_frame frame;
    size_t got;
};

/* Queues a block. */
void lane_queue(struct lane_out *lane, uint64_t block);

/* Sends what it takes, `bytes_max` at most; *sent_out bytes went. CKPT_OK: block *done_out is gone;
 * CKPT_ERR_BUSY: nothing to do, or later; else the connection is lost. */
enum ckpt_status lane_send(struct lane_out *lane, const struct lane_hello *hello,
                           const struct fanout_plan *plan, const uint8_t *data, uint32_t fetch,
                           size_t bytes_max, size_t *sent_out, uint64_t *done_out);

/* Receives what is there, to its place in data. CKPT_OK: block *done_out has come; CKPT_ERR_BUSY:
 * later; CKPT_ERR_PROTOCOL: what came is no block of this plan; else the connection has ended. */
enum ckpt_status lane_receive(struct lane_in *lane, const struct fanout_plan *plan, uint8_t *data,
                              uint32_t fetch, uint64_t *done_out);

/* How many bytes a block of the plan's shard has. */
uint32_t lane_block_bytes(const struct fanout_plan *plan, uint64_t block);

#endif
