/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between a rank and its agent. docs/protocol.md tells when each is sent. */
#ifndef CKPT_WIRE_MESSAGE_RANK_H
#define CKPT_WIRE_MESSAGE_RANK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"
#include "base/limits.h"
#include "digest/digest.h"
#include "digest/key.h"
#include "wire/key.h"
#include "wire/state.h"
#include <ckpt/status.h>

struct message_rank_open {
    /* The uid comes from the socket's credentials, never from here. */
    char run[CKPT_RUN_NAME_MAX + 1];
    uint32_t attempt; /* insisted on; 0: the coordinator gives one out. With a start: its number */
    struct nonce start; /* that this process was seated in on an earlier connection; zero: none */
    struct nonce seat;  /* of this process, the same on all its connections; zero: from one of
                         * before starts had names, which is told nothing of its own */
    struct nonce name;  /* by which the launcher's environment names the start; zero: it does not */
    uint32_t rank;
    uint32_t world;
    uint32_t copies;  /* 0: the agent's default */
    bool reader;      /* only loads and fetches: takes no rank number */
    bool takes_parts; /* it maps parts of segments; false: one of before there were any */
};

struct message_rank_opened {
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    char node[CKPT_NODE_NAME_MAX + 1];
    uint64_t segment_bytes;
    bool coordinator_known; /* false: saves stage, but nothing becomes consistent for now */
    bool prepares;          /* it takes PREPARE; false: one of before there was any */
    uint64_t last_bytes;    /* of the newest shard of this rank and world that is here; 0: none */
};

/* Which start of its run the rank is of. CKPT_OK: attempt and start are settled for good. Anything
 * else: the process has no place in the run any more, or never had. */
struct message_rank_seated {
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    uint32_t attempt;
    struct nonce start;
};

struct message_slot_ask {
    uint64_t step;
    uint64_t bytes;   /* of the whole shard, header and all */
    uint32_t wait_ms; /* it waits no longer than that; 0: not said */
};

struct message_slot_granted {
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    uint64_t step;
    uint32_t slot;
    uint64_t generation;
    uint64_t bytes;
    uint32_t segment_count;
    const uint16_t *segments; /* ids, so that a kept mapping can be used again; in the decoder's
                               * buffer, or the sender's state */
    uint64_t part_bytes; /* that the only file has, of a segment's size; 0: they are segments */
    struct digest_key device_key; /* of this save alone; of an unknown kind: the agent is of before
                                   * it, and looks at no device_digest */
};

/* The memory of a save to come. The ask has the first three; the answer all. */
struct message_prepare {
    uint32_t number; /* of the ask, rising with each of a connection */
    uint64_t bytes;  /* of the shard */
    uint64_t after;  /* the memory of the save that follows the one whose memory is `generation`;
                      * 0: of the next save */
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    uint64_t generation;
    uint32_t segment_count;
    const uint16_t *segments; /* as of a grant, as what follows */
    uint64_t part_bytes;
};

struct message_seal {
    uint64_t step;
    uint32_t slot;
    uint64_t generation;
    bool replica_said; /* the next three are of ckpt_save_replica */
    uint32_t replica_leader;
    uint32_t replica_part;
    uint64_t replica_value;
    bool device_said;            /* the next is there */
    struct digest device_digest; /* under the grant's device_key, computed where bytes came from */
    uint64_t nans;               /* in a device's tensors, as the two below */
    uint64_t infinities;
    char device_reason[CKPT_REASON_MAX + 1]; /* why they came without a digest; "": they did not */
};

/* Gives a slot back that was not sealed. */
struct message_abandon {
    uint64_t step;
    uint32_t slot;
    uint64_t generation;
};

/* Bytes of a dma-buf and where they belong in the slot. */
struct message_range {
    uint64_t from;
    uint64_t to;
    uint64_t bytes;
};

/* A rank's own memory is read into the slot that it fills. */
struct message_gather {
    uint64_t step;
    uint32_t slot;
    uint64_t generation;
    uint32_t number; /* from 1, rising by one with each of this slot */
    uint32_t range_count;
    const struct message_range *ranges; /* in the decoder's buffer, or the sender's */
};

struct message_gathered {
    uint64_t step;
    uint32_t slot;
    uint64_t generation;
    uint32_t number;
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
};

struct message_save_outcome {
    uint64_t step;
    enum ckpt_status status; /* CKPT_OK: consistent */
    char reason[CKPT_REASON_MAX + 1];
};

/* rank -> agent: run, attempt and asking rank are the session's. agent -> coordinator: all set. */
struct message_load_ask {
    struct run_key run;
    uint32_t attempt;
    struct nonce start; /* a collective one: of the asking rank, as it was told; zero: it is of
                         * before starts had names, and goes by its attempt */
    struct nonce seat;
    uint32_t asking_rank;
    uint32_t world;
    uint64_t step;    /* or CKPT_STEP_LATEST */
    uint32_t rank;    /* whose shard; the asking rank's own in a collective load */
    bool collective;  /* true: one verdict for all ranks of the attempt; false: a fetch */
    uint32_t load;    /* counts the collective loads of an attempt from 1; or the fetch's id */
    uint64_t reader;  /* a fetch: the agent's id of who asks, echoed in the verdict */
    uint32_t wait_ms; /* rank -> agent: it waits no longer than that; 0: not said */
    /* A fetch of a part of the shard, only to a coordinator that has said WIRE_FEATURE_RANGES. */
    uint64_t range_offset;
    uint64_t range_bytes; /* 0: of the whole shard */
    uint32_t range_pass;  /* how many sources of it have failed the reader */
};

struct message_load_verdict {
    struct run_key run;
    uint32_t attempt; /* of the ask */
    struct nonce start;
    uint32_t asking_rank;
    bool collective;
    uint32_t load;
    uint64_t reader;
    /* CKPT_OK: the agent's own verified copy of `shard` is to be handed out. */
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    struct shard_key shard;
    /* Of a range, CKPT_OK: what its bytes are proven against, and one source of them, which the
     * agent reads by itself: no copy is ordered, and none is handed out on this word alone. */
    struct digest digest; /* of the whole shard, as committed */
    uint64_t bytes;       /* of the whole shard */
    uint32_t world;
    struct digest_key key; /* that the digest is under */
    uint32_t source_count; /* 0: the verdict is of no range */
    char source_node[CKPT_NODE_NAME_MAX + 1];
    char source_address[CKPT_ADDRESS_MAX + 1];
    struct incarnation source_incarnation; /* the agent's own: of the copy that it has itself */
    uint64_t source_generation;
};

struct message_loaded {
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    uint32_t load;
    uint32_t attempt; /* of the checkpoint */
    uint64_t step;
    uint32_t rank;
    uint32_t world;
    uint32_t slot;
    uint64_t generation;
    uint64_t bytes;
    struct digest digest;
    uint32_t segment_count;
    uint64_t part_bytes;          /* as of a grant */
    enum digest_kind digest_kind; /* unknown: of an agent of before the field, BLAKE3 */
    /* Where a part of the shard is attached, `bytes` of it; both 0: the whole is. */
    uint64_t range_offset; /* of the shard, at which the attached memory begins: a chunk's start */
    uint64_t shard_bytes;  /* that the whole shard has */
    bool whole; /* all of the shard is proven; false: the range that was asked for, or an agent of
                 * before the field */
};

struct message_release {
    uint32_t slot;
    uint64_t generation;
};

struct message_checkpoint_ask {
    struct run_key run;
    uint64_t step; /* or CKPT_STEP_LATEST */
    uint64_t reader;
    uint32_t attempt; /* whose checkpoint; 0: of whichever start there is one */
    bool own;         /* from a rank: of its own start, which the agent knows */
    bool here;        /* from a rank: only whether the agent has a coordinator, answered at once; an
                       * agent of before passes it on */
};

struct message_checkpoint_info {
    struct run_key run;
    uint64_t reader;
    enum ckpt_status status;
    enum checkpoint_state state;
    uint32_t attempt;
    uint64_t step;
    uint32_t world;
    uint32_t copies;
    uint64_t bytes;
    char reason[CKPT_REASON_MAX + 1];
    enum ckpt_status outcome; /* why it will never be consistent, when that is known */
    uint32_t run_attempt;     /* the run's newest; 0: none, or of before this field */
    uint32_t run_live;        /* ranks of the run that are connected somewhere */
    enum checkpoint_tier tier;
    bool has_persisted; /* the next two: the run's newest that is whole in the tier */
    uint32_t persisted_attempt;
    uint64_t persisted_step;
};

#endif
