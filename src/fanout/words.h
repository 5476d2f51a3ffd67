/* SPDX-License-Identifier: Apache-2.0 */
/* What the leader of a group and its ranks say to each other, beside the bytes. As structs lie in
 * memory, little-endian; both ends are one version of one library.
 *
 *     rank      leader    to all
 *     JOIN        ->                     who I am, where my road is
 *                         START          the road, its key, all addresses
 *     MET         ->      GO             this rank has its road; all have
 *     HAVE        ->                     I asked for this shard, and have it or not
 *                         PLAN           who sends; or that nobody can
 *     VALUES      ->      VALUES         a piece's, from its sender
 *     ALIVE       ->      ALIVE          something was done since the last one
 *     DONE        ->      END            a rank has all that it will get; all have
 *     FAULT       ->      ABORT          the road is given up, and why
 *     OUTCOME     ->      VERDICT        what each rank has in the end; what it is for all */
#ifndef CKPT_FANOUT_WORDS_H
#define CKPT_FANOUT_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "digest/digest.h"
#include "fanout/proof.h"
#include "fanout/road.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "words are little-endian"
#endif

#define WORDS_VERSION 1
#define TOKEN_BYTES 16

enum word_type {
    WORD_JOIN = 1,
    WORD_START,
    WORD_MET,
    WORD_GO,
    WORD_HAVE,
    WORD_PLAN,
    WORD_VALUES,
    WORD_ALIVE,
    WORD_DONE,
    WORD_END,
    WORD_FAULT,
    WORD_ABORT,
    WORD_OUTCOME,
    WORD_VERDICT,
    WORD_LOST, /* never sent: the connection of a rank has ended */
};

struct word_header {
    uint32_t version;
    uint32_t type;
    uint32_t fetch; /* the fetches of a group are counted; 0: its beginning */
    uint32_t bytes; /* of the body */
};

struct word_join {
    uint8_t token[TOKEN_BYTES];
    uint32_t rank;
    uint32_t ranks;
    uint32_t has_nccl;
    char address[ROAD_ADDRESS_BYTES];
};

struct word_settings {
    uint32_t road; /* enum ckpt_fanout_road, never AUTO */
    uint32_t shape;
    uint32_t senders;
    uint32_t stall_ms;
    uint64_t piece_bytes;
    uint8_t key[ROAD_KEY_BYTES];
};

struct word_start {
    struct word_settings settings;
    char addresses[][ROAD_ADDRESS_BYTES]; /* a rank each */
};

struct word_have {
    uint64_t step;
    uint64_t bytes;
    uint32_t rank;
    uint32_t attempt;
    uint32_t world;
    uint32_t digest_kind;
    struct digest digest;
    uint32_t has; /* the rest of it is told */
    uint32_t unused;
};

struct word_plan {
    struct word_have shard; /* has: somebody has it */
    uint8_t secret[FINGERPRINT_SECRET_BYTES];
    uint8_t holds[CKPT_FANOUT_RANKS_MAX]; /* 0 or 1, a rank each */
};

struct word_values {
    uint64_t piece;
    uint8_t values[PROOF_PIECE_VALUES_MAX]; /* as many as the piece has */
};

/* MET, FAULT, ABORT, OUTCOME and VERDICT. */
struct word_outcome {
    uint32_t status; /* enum ckpt_status */
    char reason[CKPT_REASON_MAX + 1];
};

#define WORD_BODY_MAX                                                                              \
    (sizeof(struct word_start) + (size_t)CKPT_FANOUT_RANKS_MAX * ROAD_ADDRESS_BYTES)
#define WORD_BODY_TO_LEADER_MAX sizeof(struct word_values)

#endif
