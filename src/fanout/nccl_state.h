/* SPDX-License-Identifier: Apache-2.0 */
/* Inside road_nccl: a communicator and a stream of its own, and two rounds of pieces. */
#ifndef CKPT_FANOUT_NCCL_STATE_H
#define CKPT_FANOUT_NCCL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fanout/nccl_library.h"
#include "fanout/road.h"

#define NCCL_SLICE_ALIGN 512 /* of what relays are given */

enum nccl_stage {
    STAGE_POSTED,
    STAGE_SCATTERING, /* relay: pieces' slices to their relays */
    STAGE_SPREADING,  /* to all */
    STAGE_COPYING,    /* on the stream, behind which lies the event */
    STAGE_DONE,
};

struct nccl_round {
    uint64_t first;
    uint32_t count;
    enum nccl_stage stage;
    void *event;
    uint64_t device; /* of at_once places */
    uint8_t *pinned;
    bool is_registered;
};

struct nccl {
    struct nccl_library lib;
    int device;
    void *context;
    void *comm;
    bool is_met;
    void *stream;
    uint32_t rank;
    uint32_t ranks;
    size_t place_bytes; /* of a piece, slices rounded up */
    uint32_t places;    /* a round has room for; 0: no memory was taken yet */
    struct nccl_round rounds[ROAD_ROUNDS];
    uint32_t oldest;
    uint32_t count;
    struct road_shard shard;
};

#endif
