/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of the control protocol as C structs: the only form the other rooms see.
 *
 * Who speaks to whom:
 *   rank  <-> its local agent        UNIX socket, descriptors ride along by SCM_RIGHTS
 *   agent <-> coordinator            TCP
 *   agent <-> agent (puller, source) TCP; shard bytes never travel here
 *   ckptctl <-> coordinator          TCP
 *
 * Every message may be lost, repeated or late. Nothing depends on one message: the sender repeats
 * from its state until the answer makes the state final, and the receiver of a repeated message
 * changes nothing and answers again. A receiver drops a message whose sequence is not above the
 * last one it took from the same incarnation, so nothing old comes back to life.
 *
 * docs/protocol.md tells each exchange as a story. */
#ifndef CKPT_WIRE_MESSAGE_H
#define CKPT_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"
#include "base/limits.h"
#include "digest/digest.h"
#include "wire/key.h"
#include <ckpt/status.h>

#define WIRE_PROTOCOL_VERSION 1
/* What a side understands beyond the protocol's version, as bits in JOIN and WELCOME: a daemon of
 * an earlier release ends a connection on which a message of an unknown type comes. */
#define WIRE_FEATURE_ROOM                                                                          \
    1U /* LET_GO, NEED, LOAD_WAITS, and a heartbeat that says inventory_told */
#define WIRE_FEATURE_STARTS 2U  /* SEAT_ASK, SEAT_TOLD, and a load's start */
#define WIRE_FEATURE_GOODBYE 4U /* GOODBYE */
#define WIRE_FEATURES (WIRE_FEATURE_ROOM | WIRE_FEATURE_STARTS | WIRE_FEATURE_GOODBYE)

enum checkpoint_state {
    CHECKPOINT_NONE = 0,    /* the coordinator knows nothing of it */
    CHECKPOINT_OPEN,        /* some shard was announced, some rank is missing */
    CHECKPOINT_VERIFYING,   /* every rank has sealed; copies are being made and digested */
    CHECKPOINT_CONSISTENT,  /* committed */
    CHECKPOINT_QUARANTINED, /* was consistent; kept, no longer offered */
    CHECKPOINT_ABORTED,     /* will never be consistent; its slots are freed */
    CHECKPOINT_RETIRED,     /* forgotten on purpose; its slots are freed */
};

/* What an agent says of one copy in its own memory. */
enum copy_state {
    COPY_NONE = 0, /* not here, or freed, or failed: never to be counted again */
    COPY_SEALED,   /* owner's bytes are complete, not yet digested; may be pulled */
    COPY_ADOPTED,  /* found in the arena after a restart, not yet digested; may not be pulled */
    COPY_VERIFIED, /* digested by this agent, in this incarnation, from its own memory */
};

enum pull_purpose {
    PULL_REPLICATE = 0, /* a copy that counts */
    PULL_RESTORE,       /* for a local rank that restores; counts too */
    PULL_FETCH,         /* for a local reader; never counts, never offered, freed on release */
};

/* A person's word on a checkpoint. */
enum checkpoint_mark {
    MARK_NONE = 0, /* takes an earlier word back */
    MARK_HEALTHY,  /* shown; changes nothing */
    MARK_POISONED, /* never offered as the newest one */
};

enum message_type {
    MESSAGE_NONE = 0,

    /* rank -> agent, and the answers */
    MESSAGE_RANK_OPEN = 1,
    MESSAGE_RANK_OPENED = 2,
    MESSAGE_SLOT_ASK = 3,
    MESSAGE_SLOT_GRANTED = 4, /* + descriptors, writable */
    MESSAGE_SEAL = 5,
    MESSAGE_ABANDON = 6,
    MESSAGE_SAVE_OUTCOME = 7, /* pushed by the agent when a save ends */
    MESSAGE_LOAD_ASK = 8,     /* rank -> agent, and agent -> coordinator */
    MESSAGE_LOAD_VERDICT = 9, /* coordinator -> agent */
    MESSAGE_LOADED = 10,      /* agent -> rank; + descriptors, read-only */
    MESSAGE_RELEASE = 11,
    MESSAGE_CHECKPOINT_ASK = 12,  /* rank -> agent -> coordinator */
    MESSAGE_CHECKPOINT_INFO = 13, /* the answer, back the same way */
    MESSAGE_JOB = 14, /* a scheduler's hook or a user -> agent, without a RANK_OPEN before it */
    MESSAGE_JOB_TOLD = 15,
    MESSAGE_GATHER = 16, /* + one descriptor, of a dma-buf */
    MESSAGE_GATHERED = 17,
    MESSAGE_RANK_SEATED = 18, /* pushed by the agent when the rank's start has its number */

    /* agent <-> coordinator */
    MESSAGE_JOIN = 20,
    MESSAGE_WELCOME = 21,
    MESSAGE_HEARTBEAT = 22,
    MESSAGE_LEASE = 23,
    MESSAGE_SHARD_REPORT = 24,
    MESSAGE_SHARD_ACK = 25,
    MESSAGE_PULL_ORDER = 26,
    MESSAGE_PULL_FAILED = 27,
    MESSAGE_VERIFY_ORDER = 28,
    MESSAGE_CHECKPOINT_STATE = 29,
    MESSAGE_STALE_EPOCH = 30, /* agent -> coordinator: a newer epoch rules; step down */
    MESSAGE_JOB_REPORT = 31,  /* agent -> coordinator: what it was told by MESSAGE_JOB */
    MESSAGE_JOB_ACK = 32,
    /* These three only to and from who has said WIRE_FEATURE_ROOM. */
    MESSAGE_LET_GO = 33,     /* coordinator -> agent: a copy that is one too many */
    MESSAGE_NEED = 34,       /* agent -> coordinator: a rank's save waits for room */
    MESSAGE_LOAD_WAITS = 35, /* coordinator -> agent: what a load waits for */
    /* These two only to and from who has said WIRE_FEATURE_STARTS. */
    MESSAGE_SEAT_ASK = 36,  /* agent -> coordinator: a rank's place in a start of its run */
    MESSAGE_SEAT_TOLD = 37, /* the answer; also by itself, once the start is complete */
    /* Only to who has said WIRE_FEATURE_GOODBYE. */
    MESSAGE_GOODBYE = 38, /* agent -> coordinator: it ends, in order; its memory stays */

    /* agent <-> agent */
    MESSAGE_OFFER_ASK = 40,
    MESSAGE_OFFER = 41,
    MESSAGE_OFFER_DONE = 42,
    MESSAGE_OFFER_CLOSED = 43,

    /* ckptctl <-> coordinator */
    MESSAGE_ADMIN_ASK = 50,
    MESSAGE_ADMIN_ANSWER = 51,
};

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
};

struct message_seal {
    uint64_t step;
    uint32_t slot;
    uint64_t generation;
    bool replica_said; /* the next three are of ckpt_save_replica */
    uint32_t replica_leader;
    uint32_t replica_part;
    uint64_t replica_value;
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
    uint64_t part_bytes; /* as of a grant */
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
};

enum job_verb {
    JOB_BEGIN = 1,
    JOB_END,   /* it may be started again: the run lingers */
    JOB_FINAL, /* nobody wants its checkpoints any more */
    JOB_SHOW,  /* only asks; never to the coordinator */
};

/* MESSAGE_JOB, and repeated to the coordinator as MESSAGE_JOB_REPORT until it is acknowledged.
 * Whose word is taken is the agent's to judge, by the socket's credentials. */
struct message_job {
    enum job_verb verb;
    char job[CKPT_JOB_NAME_MAX + 1]; /* "cluster/4711" */
    struct run_key run;              /* may be empty where the agent knows the job */
    uint32_t attempt; /* which start of the job; 0: as the agent knows it, or nobody does */
    uint64_t linger_ms;
    uint64_t ended_ms_ago; /* in a report of JOB_END or JOB_FINAL */
    bool requeueable;
    bool begin_known;      /* in a report: the agent was told when it began */
    uint64_t begun_ms_ago; /* in such a report */
    uint32_t run_attempt;  /* in a report of an end: the run's newest that the agent knew then */
    uint64_t started_s;    /* since 1970: when this start of the job began, by its scheduler's word,
                            * the same at its begin and its end; 0: it does not say */
    uint64_t said_ms; /* by the node's clock: when the hook spoke; 0, and in a report: unknown */
};

struct message_job_told {
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    enum job_verb verb; /* what holds now: JOB_BEGIN, JOB_END or JOB_FINAL */
    char job[CKPT_JOB_NAME_MAX + 1];
    struct run_key run;
    uint32_t attempt;
    char node[CKPT_NODE_NAME_MAX + 1];
    char domain[CKPT_DOMAIN_NAME_MAX + 1];
};

struct message_job_ack {
    enum job_verb verb;
    char job[CKPT_JOB_NAME_MAX + 1];
    uint32_t attempt;
};

/* Whether an arena may be swapped out. */
enum arena_locked {
    ARENA_LOCKED_UNTOLD, /* by an agent of before the field */
    ARENA_LOCKED_NO,
    ARENA_LOCKED_YES,
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
};

struct message_shard_ack {
    struct shard_key shard;
    uint64_t generation;
    enum copy_state state;            /* as reported */
    enum checkpoint_state checkpoint; /* what the coordinator holds it for now */
    bool keep;                        /* false: free the slot */
    enum ckpt_status status;          /* why not, when keep is false */
    char reason[CKPT_REASON_MAX + 1];
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

struct message_offer_ask {
    uint64_t pull; /* the puller's number of this pull, echoed */
    struct shard_key shard;
    struct incarnation source_incarnation; /* refused when it is not the source's own */
    uint64_t generation;                   /* refused when the slot's differs */
};

struct message_region {
    uint32_t bytes;
    const uint8_t *descriptor; /* at most CKPT_DESCRIPTOR_MAX */
};

/* The regions are filled in by the daemon: the machine knows only the slot. */
struct message_offer {
    uint64_t pull;
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    uint32_t slot;
    uint64_t generation;
    uint64_t bytes;
    uint64_t segment_bytes;
    uint32_t worker_address_bytes;
    const uint8_t *worker_address; /* the transport's; this and the next in the decoder's buffer, or
                                    * the sender's */
    uint32_t region_count;
    const struct message_region *regions; /* one a segment, in the shard's order */
};

struct message_offer_done {
    uint64_t pull;
    uint32_t slot;
    uint64_t generation;
};

/* CKPT_OK: the slot kept its generation for as long as the pull ran. */
struct message_offer_closed {
    uint64_t pull;
    enum ckpt_status status;
};

enum admin_verb {
    ADMIN_STATUS = 1,
    ADMIN_NODES,
    ADMIN_RUNS,
    ADMIN_LIST,
    ADMIN_SHOW,
    ADMIN_VERIFY,
    ADMIN_RETIRE,
    ADMIN_PLACEMENT,
    ADMIN_MARK,
    ADMIN_NODE_DRAIN,
    ADMIN_NODE_UNDRAIN,
    ADMIN_NODE_FORGET,
    ADMIN_NODE_SHOW, /* how far a drain is */
    ADMIN_RUN_FORGET,
};

struct message_admin_ask {
    enum admin_verb verb;
    uint64_t cookie;    /* echoed */
    struct run_key run; /* uid: the caller's own; who may see all may name any, or CKPT_UID_ANY */
    uint64_t step;
    bool newer; /* ADMIN_RETIRE: everything newer than step, so that `latest` moves back to it */
    enum checkpoint_mark mark; /* ADMIN_MARK */
    uint32_t from; /* of a long table: the first entry wanted, as "next" of the last answer said */
    char node[CKPT_NODE_NAME_MAX + 1]; /* of the verbs for nodes */
    bool force;    /* ADMIN_NODE_FORGET: also the last that is known to hold something */
    bool may_page; /* what is too much for one turn is done in part, and answered with "more" */
};

/* One JSON document: the coordinator's tables are for people and scripts, not for machines of ours,
 * so they have no schema in the wire format. */
struct message_admin_answer {
    uint64_t cookie;
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    uint32_t json_bytes;
    const char *json; /* in the decoder's buffer, or the sender's; not NUL-terminated */
};

struct message {
    enum message_type type;
    /* Of the sender, from the frame. */
    uint64_t epoch;
    struct incarnation incarnation;
    uint64_t sequence;
    union {
        struct message_rank_open rank_open;
        struct message_rank_opened rank_opened;
        struct message_rank_seated rank_seated;
        struct message_slot_ask slot_ask;
        struct message_slot_granted slot_granted;
        struct message_seal seal;
        struct message_abandon abandon;
        struct message_gather gather;
        struct message_gathered gathered;
        struct message_save_outcome save_outcome;
        struct message_load_ask load_ask;
        struct message_load_verdict load_verdict;
        struct message_loaded loaded;
        struct message_release release;
        struct message_checkpoint_ask checkpoint_ask;
        struct message_checkpoint_info checkpoint_info;
        struct message_job job; /* also MESSAGE_JOB_REPORT */
        struct message_job_told job_told;
        struct message_job_ack job_ack;
        struct message_join join;
        struct message_welcome welcome;
        struct message_heartbeat heartbeat;
        struct message_lease lease; /* MESSAGE_STALE_EPOCH and MESSAGE_GOODBYE have no body */
        struct message_seat_ask seat_ask;
        struct message_seat_told seat_told;
        struct message_shard_report shard_report;
        struct message_shard_ack shard_ack;
        struct message_pull_order pull_order;
        struct message_pull_failed pull_failed;
        struct message_verify_order verify_order;
        struct message_let_go let_go;
        struct message_need need;
        struct message_load_waits load_waits;
        struct message_checkpoint_state checkpoint_state;
        struct message_offer_ask offer_ask;
        struct message_offer offer;
        struct message_offer_done offer_done;
        struct message_offer_closed offer_closed;
        struct message_admin_ask admin_ask;
        struct message_admin_answer admin_answer;
    };
};

#endif
