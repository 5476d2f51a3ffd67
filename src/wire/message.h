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

#include <stdint.h>

#include "base/ids.h"
#include "wire/key.h"
#include "wire/message_admin.h"
#include "wire/message_agent.h"
#include "wire/message_job.h"
#include "wire/message_peer.h"
#include "wire/message_rank.h"
#include "wire/message_tier.h"
#include "wire/state.h"

#define WIRE_PROTOCOL_VERSION 1
/* What a side understands beyond the protocol's version, as bits in JOIN and WELCOME: a daemon of
 * an earlier release ends a connection on which a message of an unknown type comes. */
#define WIRE_FEATURE_ROOM                                                                          \
    1U /* LET_GO, NEED, LOAD_WAITS, and a heartbeat that says inventory_told */
#define WIRE_FEATURE_STARTS 2U  /* SEAT_ASK, SEAT_TOLD, and a load's start */
#define WIRE_FEATURE_GOODBYE 4U /* GOODBYE */
/* The key of SEAT_TOLD, SHARD_ACK, PULL_ORDER and VERIFY_ORDER, and a report's digest_key. Who does
 * not know it proves with BLAKE3. */
#define WIRE_FEATURE_FINGERPRINT 8U
/* A LOAD_ASK may name a range, and its LOAD_VERDICT the source of it. Who does not know it answers
 * with the whole shard. */
#define WIRE_FEATURE_RANGES 16U
/* The messages of message_tier.h. */
#define WIRE_FEATURE_TIER 64U
#define WIRE_FEATURES                                                                              \
    (WIRE_FEATURE_ROOM | WIRE_FEATURE_STARTS | WIRE_FEATURE_GOODBYE | WIRE_FEATURE_FINGERPRINT |   \
     WIRE_FEATURE_RANGES | WIRE_FEATURE_TIER)

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
    /* Only to an agent whose RANK_OPENED says that it prepares. */
    MESSAGE_PREPARE = 19, /* rank -> agent, and back as the answer; + descriptors, writable */

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

    /* agent <-> coordinator, only to and from who has said WIRE_FEATURE_TIER */
    MESSAGE_PERSIST_ORDER = 60,  /* coordinator -> agent: a shard goes to the tier */
    MESSAGE_PERSIST_TOLD = 61,   /* the answer to it, and to the next */
    MESSAGE_MANIFEST_ORDER = 62, /* coordinator -> agent: all shards are there, say so there */
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
        struct message_prepare prepare;
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
        struct message_persist_order persist_order;
        struct message_persist_told persist_told;
        struct message_manifest_order manifest_order;
        struct message_admin_ask admin_ask;
        struct message_admin_answer admin_answer;
    };
};

#endif
