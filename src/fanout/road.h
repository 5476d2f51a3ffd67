/* SPDX-License-Identifier: Apache-2.0 */
/* What the bytes of pieces go by: one table of functions a road, so that all that may go wrong with
 * a group can be played on any machine.
 *
 * A road works by itself, in a thread or on a device. Nothing here waits, but for copying a piece
 * in memory; whoever calls asks again and has the deadline. After an error there is only close,
 * which waits for nobody either: it is what aborts. */
#ifndef CKPT_FANOUT_ROAD_H
#define CKPT_FANOUT_ROAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "fanout/plan.h"

/* A rank's way in, which the leader tells all. */
#define ROAD_ADDRESS_BYTES (CKPT_ADDRESS_MAX + 1)
#define ROAD_KEY_BYTES 128 /* what all ranks have to know and others should not: NCCL's id */

/* Rounds under way at most: one that is being proven, one that comes. */
#define ROAD_ROUNDS 2

struct road_setup {
    uint32_t rank;
    uint32_t ranks;
    int device;
    uint64_t piece_bytes;
    uint64_t
        pace_bytes_s;   /* sockets: no faster than this, to stand for a slow link; 0: as it goes */
    const uint8_t *key; /* of ROAD_KEY_BYTES */
    const char (*addresses)[ROAD_ADDRESS_BYTES]; /* by rank */
};

/* What a shard's rounds are about; it stays until `end`. source is the shard where this rank holds
 * it, else NULL; target is where it comes to. */
struct road_shard {
    const struct fanout_plan *plan;
    const uint8_t *source;
    uint8_t *target;
};

struct fanout_road {
    const char *name;

    /* Makes this rank's end. address is where it is to be reached ("host:port" with port 0), and
     * becomes what it got. */
    enum ckpt_status (*open)(void **road_out, char address[ROAD_ADDRESS_BYTES], int device,
                             char *reason);
    /* On the leader: the key. */
    enum ckpt_status (*key)(void *road, uint8_t key_out[ROAD_KEY_BYTES], char *reason);
    /* Begins to reach the others, and goes on with it: CKPT_ERR_BUSY until it is done. The setup
     * and what it points to stay until then. */
    enum ckpt_status (*meet)(void *road, const struct road_setup *setup, char *reason);

    enum ckpt_status (*begin)(void *road, const struct road_shard *shard, char *reason);
    /* Sends or receives pieces [first, first + count); at most ROAD_ROUNDS are posted and not
     * taken. */
    enum ckpt_status (*post)(void *road, uint64_t first, uint32_t count, char *reason);
    /* Takes the oldest round that was posted: CKPT_ERR_BUSY until its bytes are at the target, or
     * the sender's are out of the source. */
    enum ckpt_status (*take)(void *road, char *reason);
    /* After all rounds. */
    void (*end)(void *road);

    /* Readable when `meet` or `take` may have something new; -1: ask again and again. */
    int (*wake_fd)(void *road);
    void (*close)(void *road);
};

#endif
