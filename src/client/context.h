/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a struct ckpt, and what the files of this room ask of each other.
 *
 * Every function here that can fail leaves one line in ckpt->reason. One thread. */
#ifndef CKPT_CLIENT_CONTEXT_H
#define CKPT_CLIENT_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <ckpt/ckpt.h>

#include "base/ids.h"
#include "base/limits.h"
#include "client/agent_link.h"
#include "client/copy.h"
#include "client/mappings.h"
#include "digest/key.h"
#include "shard/shard.h"

#define CLIENT_SAVES_KEPT 64  /* steps whose outcome is remembered */
#define CLIENT_INDEXES_KEPT 8 /* shards whose index is, for reading ranges of them */
#define CLIENT_TIMEOUT_MS_DEFAULT 5000

/* Above this an agent cannot mean it; sums of sizes below it do not overflow. */
#define CLIENT_SEGMENT_BYTES_MAX (UINT64_C(1) << 40)

/* Fetches are numbered apart from collective loads, as an answer has only the number. */
#define CLIENT_FETCH_BASE UINT32_C(0x80000000)

enum rank_state {
    RANK_CLOSED = 0, /* no connection */
    RANK_OPENING,    /* connected and asked; the answer has not come */
    RANK_OPEN,
};

struct save {
    bool used;
    bool ended;
    uint64_t step;
    uint32_t link;    /* the number of the connection it was sealed on */
    int64_t asked_ns; /* when the coordinator was asked how it ended, after a lost connection */
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    /* Of a consistent one, for who waits until it is in the tier. */
    bool tier_is_told;            /* the next, and the reason, end the wait */
    enum ckpt_status tier_status; /* CKPT_OK: it is there */
    uint64_t tier_question;       /* not answered yet; 0: none */
    int64_t tier_due_ns;          /* not to be asked before */
    uint32_t tier_pause_ms;       /* between the last two times */
};

/* A slot that this rank may write. */
struct client_grant {
    uint32_t slot;
    uint64_t generation;
    uint8_t *address;
    struct digest_key device_key; /* of an unknown kind: the agent has none */
};

struct loaded;     /* one mapped shard: load.c */
struct client_gpu; /* gpu.h */

/* What is known of a shard of which ranges were read. */
struct client_index {
    struct shard_index *index; /* NULL: not in use */
    uint64_t step;
    uint32_t rank;
    uint32_t attempt;
    uint64_t shard_bytes;
    struct digest digest;
    uint64_t used; /* the context's count of uses when it was used last */
};

struct ckpt {
    char run[CKPT_RUN_NAME_MAX + 1];
    char socket[CKPT_ADDRESS_MAX + 1];
    uint32_t insisted; /* the attempt that the caller wants; 0: what is given out */
    uint32_t attempt;  /* of the start that this process was seated in; 0: not known yet */
    struct nonce start;
    struct nonce seat; /* this process, to whom it talks */
    struct nonce name; /* of its start, by the launcher; zero: it has none */
    uint32_t rank;
    uint32_t world;
    uint32_t copies;
    uint32_t timeout_ms;
    uint32_t copy_threads;
    bool reader;
    pid_t process;             /* a child made by fork() may only close */
    struct ckpt *next_context; /* of this process: fork.c */
    struct ckpt *previous_context;
    bool is_watched; /* it is among them */
    bool poisoned;   /* a defect was found: every call says so from then on */

    struct agent_link link;
    enum rank_state state;
    bool was_open; /* the rank was ours once */
    uint64_t segment_bytes;
    bool prepares;       /* the agent tells the memory of saves to come */
    uint64_t last_bytes; /* of this rank's newest shard at the agent; 0: it has none */
    uint32_t prepare_number;
    atomic_bool prepare_is_stopped; /* the one thing here that another thread may set */
    uint64_t abandoned;             /* late grants given back */

    bool has_step;
    uint64_t last_step; /* sealed, as the next two */
    uint64_t last_generation;
    uint32_t last_link; /* the connection that last_generation is of */
    struct save saves[CLIENT_SAVES_KEPT];
    uint32_t save_next;

    /* A save that the caller copies: between ckpt_save_begin and its end. */
    bool has_begun;
    uint64_t begun_step;
    uint32_t begun_link; /* the connection that the slot was granted on */
    struct client_grant begun;
    size_t begun_tensors;
    size_t begun_missing; /* of them, those with bytes that the caller copies */
    uint64_t begun_bytes; /* of the shard */
    uint32_t begun_gathers;

    struct client_gpu *gpu; /* NULL: none was used */

    /* What ckpt_save_replica said, until that step is sealed or another is said. */
    bool has_replica;
    uint64_t replica_step;
    struct ckpt_replica replica;

    struct mappings mappings;

    /* Scratch of ckpt_save, for tensor_room tensors. */
    size_t tensor_room;
    struct shard_tensor *tensors;
    struct copy_piece *pieces;
    uint32_t *names;
    struct shard_metadata *metadata; /* SHARD_METADATA_MAX */

    uint32_t loads; /* collective ones asked for so far */
    uint32_t fetches;
    uint64_t questions;
    struct loaded *loaded;
    uint64_t index_uses;
    struct client_index indexes[CLIENT_INDEXES_KEPT];

    char reason[CKPT_REASON_MAX + 1];
};

/* A broken invariant: the context is of no use from here on. Returns CKPT_ERR_INTERNAL. */
enum ckpt_status client_poison(struct ckpt *ckpt, const char *what);

/* What every public call begins with: CKPT_ERR_INVALID for NULL or a child of fork(),
 * CKPT_ERR_INTERNAL for a poisoned context. Clears the reason. */
enum ckpt_status client_enter(struct ckpt *ckpt);

/* False in a child made by fork(): the connection is the parent's. */
bool client_is_own_process(const struct ckpt *ckpt);

#endif
