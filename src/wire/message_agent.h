/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between an agent and the coordinator. docs/protocol.md tells when each is sent. */
#ifndef CKPT_WIRE_MESSAGE_AGENT_H
#define CKPT_WIRE_MESSAGE_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"
#include "base/limits.h"
#include "digest/digest.h"
#include "digest/key.h"
#include "wire/key.h"
#include "wire/state.h"
#include <ckpt/status.h>

/* Whether an arena may be swapped out. */
enum arena_locked {
    ARENA_LOCKED_UNTOLD, /* by an agent of before the field */
    ARENA_LOCKED_NO,
    ARENA_LOCKED_YES,
};

/* Why an agent takes no new shards, though it serves those that it has; what is not known counts as
 * closed. */
enum agent_closed {
    AGENT_OPEN,
    AGENT_CLOSED_SLOW, /* its transport is another one than the machine has devices for */
};

struct message_join {
    uint32_t protocol;
    char node[CKPT_NODE_NAME_MAX + 1];
    char domain[CKPT_DOMAIN_NAME_MAX + 1];
    char address[CKPT_ADDRESS_MAX + 1]; /* where peers reach this agent's control port */
    uint64_t segment_bytes;
    uint32_t segments;
    uint32_t segments_free;
    uint32_t features; /* WIRE_FEATURE_*; bits that are not known are nothing to the other side */
    struct nonce cluster; /* that its arena is of; zero: of none yet */
    uint32_t locked;      /* enum arena_locked; what is not known counts as not told */
    uint64_t page_bytes;  /* the least that a shard takes of it: base/room.h; 0: a segment */
    uint32_t closed;      /* enum agent_closed */
    bool has_tier;        /* it can take shards to the tier */
};

/* A rank's place in a start of its run, and what its agent knows of it. Repeated until it is told,
 * and said anew to every coordinator that the agent joins. */
struct message_seat_ask {
    struct run_key run;
    uint32_t rank;
    uint32_t world;
    uint32_t attempt;   /* with a start: its number. Else what the caller insists on, or 0 */
    struct nonce start; /* that it was seated in; zero: in none yet */
    struct nonce seat;
    struct nonce name;
    bool ended;   /* the process has gone */
    bool staged;  /* and has left saves that wait for the number of their start */
    bool settled; /* attempt is its own for good. Without a start: as processes and coordinators of
                   * before starts had names take it */
};

/* CKPT_OK: seated, for good. CKPT_ERR_BUSY: the start is not complete. CKPT_ERR_TIMEOUT: nor has
 * been for so long that what waits for it is to be given up. Else: it has no place. */
struct message_seat_told {
    struct run_key run;
    uint32_t rank;
    struct nonce seat;
    bool ended; /* as asked */
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    uint32_t attempt;
    struct nonce start;
    struct digest_key key; /* of the run; this and the next ones: of unknown kind from a coordinator
                            * without WIRE_FEATURE_FINGERPRINT */
};

struct message_welcome {
    enum ckpt_status status; /* refused: CKPT_ERR_VERSION, CKPT_ERR_FULL, CKPT_ERR_INVALID */
    char reason[CKPT_REASON_MAX + 1];
    uint32_t heartbeat_ms;
    uint32_t lease_ms;
    uint32_t features;
    struct nonce cluster; /* the coordinator's */
};

struct message_heartbeat {
    uint32_t segments_free;
    uint32_t pulls;       /* under way */
    uint32_t unverified;  /* copies found after a restart and not digested yet */
    bool has_inventory;   /* inventory is told */
    uint64_t inventory;   /* the sum of the weights of its copies: wire/inventory.h */
    bool inventory_told;  /* every copy that is here has been reported, and acknowledged, since the
                          * WELCOME: what was not reported is not here */
    bool has_bytes;       /* the next two are told */
    uint64_t bytes_taken; /* of the arena, by shards */
    uint64_t bytes_held;  /* that these shards have */
    uint32_t rails;       /* of the transport; 0: it has none to tell of */
    uint32_t rails_up;    /* of these, by which peers can be reached */
    uint64_t refusals;    /* of saves and of processes, since the agent started */
    enum ckpt_status refused_status; /* this and what follows: of the last; CKPT_OK: said before */
    uint64_t refused_ms_ago;
    struct run_key refused_run; /* name empty: of none */
    char refused_reason[CKPT_REASON_MAX + 1];
    uint64_t part_bytes_free;    /* of segments that have parts in use */
    uint64_t part_bytes_largest; /* the largest part that these have room for */
};

struct message_lease {
    bool settled; /* the heartbeat's inventory is the coordinator's: nothing need be told again */
};

/* One copy in the sender's memory. Repeated until an ack of the same generation and state. */
struct message_shard_report {
    struct shard_key shard;
    uint32_t world;
    uint32_t copies;
    uint64_t bytes;
    uint64_t generation;
    enum copy_state state;
    bool owner;           /* this node's rank wrote it */
    bool cached;          /* PULL_FETCH: never counted */
    uint64_t order;       /* of the pull or verify order that this answers, or 0 */
    struct digest digest; /* valid in COPY_VERIFIED */
    bool changed;         /* COPY_VERIFIED: it has had two digests, and never counts */
    /* Of an owner's copy: what its rank said with the seal. Not said: unknown, which is no
     * difference. */
    bool replica_said;
    uint32_t replica_leader;
    uint32_t replica_part;
    uint64_t replica_value;
    uint64_t digest_key; /* id of what digest is under (digest/key.h) */
};

struct message_shard_ack {
    struct shard_key shard;
    uint64_t generation;
    enum copy_state state;            /* as reported */
    enum checkpoint_state checkpoint; /* what the coordinator holds it for now */
    bool keep;                        /* false: free the slot */
    enum ckpt_status status;          /* why not, when keep is false */
    char reason[CKPT_REASON_MAX + 1];
    struct digest_key key; /* of the run, where a copy is not proven with it */
};

struct message_pull_order {
    uint64_t order;
    struct shard_key shard;
    uint32_t world;
    uint32_t copies;
    uint64_t bytes;
    enum pull_purpose purpose;
    char source_node[CKPT_NODE_NAME_MAX + 1];
    char source_address[CKPT_ADDRESS_MAX + 1];
    struct incarnation source_incarnation;
    uint64_t source_generation;
    struct digest_key key; /* that the copy is to be proven with */
};

struct message_pull_failed {
    uint64_t order;
    struct shard_key shard;
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
};

/* Digest your copy again and report it with this order's number. */
struct message_verify_order {
    uint64_t order;
    struct shard_key shard;
    uint64_t generation;
    struct digest_key key; /* that the copy is to be proven with */
};

/* The shard has more copies than its run asked for: free yours, or end the pull of it that has this
 * number. One that is lent, read from or being digested is kept, and reported with the number;
 * one that is freed is reported as COPY_NONE. */
struct message_let_go {
    uint64_t order;
    struct shard_key shard;
    uint64_t generation; /* 0: of a pull */
};

/* Repeated while the save waits. */
struct message_need {
    struct shard_key shard; /* that is to be saved */
    uint32_t segments;      /* that must become free here */
    uint64_t bytes;         /* the same; less than a segment for a part of one; 0: not said */
};

/* The load goes on; should it end by the asker's time, this is why. */
struct message_load_waits {
    struct run_key run;
    uint32_t attempt; /* this and the next five: of the ask */
    struct nonce start;
    uint32_t asking_rank;
    bool collective;
    uint32_t load;
    uint64_t reader;
    char reason[CKPT_REASON_MAX + 1];
};

struct message_checkpoint_state {
    struct run_key run;
    uint32_t attempt;
    uint64_t step;
    uint32_t world; /* 0: not said */
    enum checkpoint_state state;
    enum ckpt_status status; /* why, when aborted */
    char reason[CKPT_REASON_MAX + 1];
};

#endif
