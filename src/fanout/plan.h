/* SPDX-License-Identifier: Apache-2.0 */
/* Who sends which bytes of a shard to whom. Pure: memory of the caller's, nothing else.
 *
 * A shard is cut into pieces. Each piece has a sender, one of those that hold the shard, in turn.
 * The others, the receivers, stand in a ring by their numbers. What a piece is made of, blocks of 1
 * MiB, goes round it: the sender gives a block to one receiver, its door, and each receiver gives
 * on what it got, until the next would be the door. So every byte leaves a sender once and each
 * receiver once at most, whatever their number.
 *
 *     FANOUT_CHAIN  a sender has one door: its blocks go in one line. The last of the line gives
 *                   nothing on, and the first bears all that comes from the sender
 *     FANOUT_RELAY  doors in turn: the blocks are scattered over the receivers, which give them to
 *                   each other (an all-gather). All links carry the same, a sender's one by one
 *     FANOUT_STAR   every receiver from the sender: what W single pulls cost, to compare with */
#ifndef CKPT_FANOUT_PLAN_H
#define CKPT_FANOUT_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include <ckpt/fanout.h>

#include "base/limits.h"

#define FANOUT_BLOCK_BYTES CKPT_CHUNK_BYTES
#define FANOUT_PIECE_BYTES_MAX (64 * CKPT_MIB)
#define FANOUT_NOBODY UINT32_MAX

enum fanout_shape {
    FANOUT_CHAIN = CKPT_FANOUT_CHAIN,
    FANOUT_RELAY = CKPT_FANOUT_RELAY,
    FANOUT_STAR,
};

struct fanout_plan {
    uint64_t bytes;       /* of the shard */
    uint64_t piece_bytes; /* whole blocks */
    enum fanout_shape shape;
    uint32_t sender_count;
    uint32_t receiver_count;
    uint16_t senders[CKPT_FANOUT_RANKS_MAX]; /* rising, as the receivers are */
    uint16_t receivers[CKPT_FANOUT_RANKS_MAX];
    uint16_t place[CKPT_FANOUT_RANKS_MAX]; /* of a rank in its list */
    bool holds[CKPT_FANOUT_RANKS_MAX];
};

struct fanout_piece {
    uint64_t offset;
    uint64_t bytes;
    uint32_t sender;
};

/* holds has ranks entries: who has the shard. At least one does, bytes are not 0, and there are at
 * most CKPT_FANOUT_RANKS_MAX ranks. */
void plan_make(struct fanout_plan *plan, uint64_t bytes, uint64_t piece_bytes,
               enum fanout_shape shape, const bool *holds, uint32_t ranks);

uint64_t plan_piece_count(const struct fanout_plan *plan);
struct fanout_piece plan_piece(const struct fanout_plan *plan, uint64_t index);

/* Pieces that go at the same time, one of each sender. */
uint32_t plan_at_once(const struct fanout_plan *plan);

/* To whom the sender of a block gives it: door 0, and for the star 1 and more until FANOUT_NOBODY.
 * FANOUT_NOBODY where there are no receivers. */
uint32_t plan_door(const struct fanout_plan *plan, uint64_t block, uint32_t door);

/* To whom rank, a receiver, gives a block that it got, or FANOUT_NOBODY. */
uint32_t plan_next(const struct fanout_plan *plan, uint32_t rank, uint64_t block);

/* Whether `from` ever gives a block to `to`. */
bool plan_is_linked(const struct fanout_plan *plan, uint32_t from, uint32_t to);

#endif
