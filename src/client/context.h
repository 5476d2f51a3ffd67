/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a struct ckpt, and what the files of this room ask of each other.
 *
 * Every function here that can fail leaves one line in ckpt->reason. One thread. */
#ifndef CKPT_CLIENT_CONTEXT_H
#define CKPT_CLIENT_CONTEXT_H

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
#include "shard/shard.h"

#define CLIENT_SAVES_KEPT 64 /* steps whose outcome is remembered */
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
};

/* A slot that this rank may write. */
struct client_grant {
    uint32_t slot;
    uint64_t generation;
    uint8_t *address;
};

struct loaded; /* one mapped shard: load.c */

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
    uint64_t abandoned; /* late grants given back */

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
    uint32_t begun_gathers;

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

    char reason[CKPT_REASON_MAX + 1];
};

/* A broken invariant: the context is of no use from here on. Returns CKPT_ERR_INTERNAL. */
enum ckpt_status client_poison(struct ckpt *ckpt, const char *what);

/* What every public call begins with: CKPT_ERR_INVALID for NULL or a child of fork(),
 * CKPT_ERR_INTERNAL for a poisoned context. Clears the reason. */
enum ckpt_status client_enter(struct ckpt *ckpt);

/* False in a child made by fork(): the connection is the parent's. */
bool client_is_own_process(const struct ckpt *ckpt);

/* fork.c: a child made by fork() closes the connection of each watched context. CKPT_ERR_MEMORY. */
enum ckpt_status client_fork_watch(struct ckpt *ckpt);
void client_fork_unwatch(struct ckpt *ckpt);

/* start_name.c: how the launcher's environment names the start of this process. Zero: it does not,
 * or what it says is the same for several. */
struct nonce client_start_name(void);

/* A name for this process that no other has. False: the kernel has no random numbers. */
bool client_seat_new(struct nonce *seat_out);

/* rank.c: makes sure that the context is a rank of the agent: connects and opens when it is not.
 * What ckpt_open lists, CKPT_ERR_NO_AGENT when there is no answer in time. */
enum ckpt_status client_rank_ensure(struct ckpt *ckpt, struct deadline deadline);

/* Sends; a lost connection becomes CKPT_ERR_NO_AGENT. */
enum ckpt_status client_send(struct ckpt *ckpt, struct message *message, struct deadline deadline);

/* The same with a descriptor, which stays the caller's. */
enum ckpt_status client_send_with(struct ckpt *ckpt, struct message *message, int descriptor,
                                  struct deadline deadline);

/* Receives messages, notes outcomes and gives back what came too late, until one is the answer to
 * what is asked. CKPT_ERR_TIMEOUT; CKPT_ERR_NO_AGENT when the connection is lost. */
typedef bool client_is_answer(const struct message *message, const void *asked);
enum ckpt_status client_await(struct ckpt *ckpt, client_is_answer *is_answer, const void *asked,
                              struct deadline deadline, struct message *message_out);

/* What was waited for has not come in time, and why that may be: CKPT_ERR_TIMEOUT with that reason;
 * or CKPT_ERR_NO_COORDINATOR, when that is why, as the agent says, which is asked. */
__attribute__((format(printf, 2, 3))) enum ckpt_status client_timed_out(struct ckpt *ckpt,
                                                                        const char *format, ...);

/* Ends the connection to an agent that breaks the protocol; `what` says how. Returns
 * CKPT_ERR_PROTOCOL. */
enum ckpt_status client_break(struct ckpt *ckpt, const char *what);

/* Gives a slot or a shard back. When that cannot be said the connection ends, which says it too. */
void client_abandon(struct ckpt *ckpt, uint64_t step, uint32_t slot, uint64_t generation);
void client_release(struct ckpt *ckpt, uint32_t slot, uint64_t generation);

/* Whether so many segments of this agent, or a part of one, hold a shard of so many bytes. */
bool client_segments_fit(const struct ckpt *ckpt, uint64_t bytes, uint32_t segment_count,
                         uint64_t part_bytes);

/* The reason that the agent gave, or the status' text; returns status. */
enum ckpt_status client_refused(struct ckpt *ckpt, const char *what, enum ckpt_status status,
                                const char *reason);

/* save.c: what a call about a begun save begins with: client_enter(), and CKPT_ERR_INVALID when it
 * is not the step that was begun. */
enum ckpt_status client_begun_enter(struct ckpt *ckpt, uint64_t step);

/* Whether its slot is still granted; else CKPT_ERR_NO_AGENT. */
enum ckpt_status client_begun_check(struct ckpt *ckpt);

/* It is over, and the slot is given back. */
void client_begun_give_up(struct ckpt *ckpt);

/* replica.c: adds what ckpt_save_replica said of the seal's step. */
void client_replica_ride(struct ckpt *ckpt, struct message_seal *seal);

/* saves.c: which steps were sealed, and how they ended. */
void client_saves_add(struct ckpt *ckpt, uint64_t step);
struct save *client_saves_find(struct ckpt *ckpt, uint64_t step);
void client_saves_end(struct ckpt *ckpt, uint64_t step, enum ckpt_status status,
                      const char *reason);

/* load.c: unmaps everything that was loaded. */
void client_loaded_clear(struct ckpt *ckpt);

#endif
