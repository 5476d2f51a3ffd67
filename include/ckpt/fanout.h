/* SPDX-License-Identifier: Apache-2.0 */
/* libckpt_fanout: one pull for many ranks that need the same shard.
 *
 * Ranks that hold the same state restore the same bytes. With ckpt_fetch each node pulls them, and
 * all of them from the one or two nodes that have copies. A group of ranks pulls once instead: its
 * senders get the shard from their agents, mapped and proven, the others get it from them, in
 * pieces, over NCCL or over TCP, and prove each piece in their own memory while the next ones are
 * on their way. docs/fanout.md says how, and what the proof finds.
 *
 * A group is made for a restore and closed before training goes on:
 *
 *     ckpt_load                every rank's own: the verdict, which names the step for all
 *     ckpt_fanout_open         every rank
 *     ckpt_fanout_id           rank 0 of the group; the caller brings the id to the others
 *     ckpt_fanout_join         every rank
 *     ckpt_fanout_fetch        every rank, for each shard that all of them need
 *     ckpt_fanout_release, ckpt_fanout_close
 *
 * PROMISES
 *     Those of ckpt/ckpt.h. Whatever goes wrong in the group, a rank that dies or hangs, a network
 *     that fails, bytes that are wrong, is met within the deadline by every rank that lives: what
 *     it lacks it gets from its own agent, as ckpt_fetch does. No NCCL and no CUDA is linked: they
 *     are opened at run time, the process's own first. Threads are started for sockets (one) and by
 *     NCCL and CUDA; those of sockets have ended when a call returns.
 *
 * THREADS
 *     A group is used by one thread at a time, and so is the context that it is given. A child made
 *     by fork() may do nothing with a group.
 *
 * TRUST
 *     The ranks of a group trust each other, as those of a training job do. Who comes to the door
 *     of a group must know its id; the connections are not encrypted, NCCL's are not either. */
#ifndef CKPT_FANOUT_H
#define CKPT_FANOUT_H

#include <stddef.h>
#include <stdint.h>

#include <ckpt/ckpt.h>
#include <ckpt/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CKPT_FANOUT_API CKPT_API
#define CKPT_FANOUT_RANKS_MAX 1024
#define CKPT_FANOUT_ID_BYTES 256

struct ckpt_fanout; /* a rank's end of a group */

/* By what the bytes go.
 *
 * CKPT_FANOUT_AUTO     NCCL where every rank of the group has it and a GPU, else sockets
 * CKPT_FANOUT_NCCL     NCCL 2.27 or later, through memory of the GPU
 * CKPT_FANOUT_SOCKETS  TCP between the ranks */
enum ckpt_fanout_road {
    CKPT_FANOUT_AUTO = 0,
    CKPT_FANOUT_NCCL = 1,
    CKPT_FANOUT_SOCKETS = 2,
};

/* How they go round.
 *
 * CKPT_FANOUT_CHAIN  from each sender down a line of receivers (NCCL: broadcasts, one of each
 *                    sender at a time)
 * CKPT_FANOUT_RELAY  each sender scatters its pieces, and who got a part gives it to the others
 *                    (NCCL: scatter and all-gather). For a sender whose link to the other nodes is
 *                    slower than those of all ranks of its node together */
enum ckpt_fanout_shape {
    CKPT_FANOUT_CHAIN = 0,
    CKPT_FANOUT_RELAY = 1,
};

struct ckpt_fanout_options {
    uint32_t size;        /* sizeof(struct ckpt_fanout_options): lets later versions add fields */
    uint32_t rank;        /* in the group; 0 leads it */
    uint32_t ranks;       /* of the group, at most CKPT_FANOUT_RANKS_MAX */
    uint32_t senders;     /* ranks 0 to senders - 1 get the shard from their agents; 0: 1. Those
                           * should be ranks of one node, which cost its agent one pull */
    uint32_t road;        /* enum ckpt_fanout_road. Of these four the leader's are what holds */
    uint32_t shape;       /* enum ckpt_fanout_shape */
    uint32_t stall_ms;    /* the group is given up when nothing comes for so long; 0: 10000 */
    uint64_t piece_bytes; /* 1 to 64 MiB, whole MiB; 0: 16 MiB */
    int32_t device;       /* CUDA's number of this rank's GPU, for NCCL. No two ranks share one */
    const char *address;  /* at which the other ranks reach this one: a host's name or number. NULL:
                           * as the leader sees it; for the leader: 127.0.0.1, one node's ranks */
};

/* ckpt_fanout_open - make this rank's end of a group
 *
 * Takes memory, and on rank 0 a TCP port that the kernel chooses; waits for nobody. reason gets a
 * line about a failure (reason_bytes with its NUL; NULL: not wanted). *fanout_out must be given to
 * ckpt_fanout_close.
 *
 * ERRORS
 *     CKPT_ERR_INVALID  size, a rank outside the group, more ranks or senders than there may be,
 *                       a road, shape or piece_bytes that does not exist
 *     CKPT_ERR_NOT_FOUND, CKPT_ERR_SYSTEM  address: no such host, or none of this machine
 *     CKPT_ERR_MEMORY */
CKPT_FANOUT_API enum ckpt_status ckpt_fanout_open(const struct ckpt_fanout_options *options,
                                                  struct ckpt_fanout **fanout_out, char *reason,
                                                  size_t reason_bytes);

/* ckpt_fanout_id - what the other ranks need to come to this group
 *
 * On rank 0. The caller brings the bytes to the others by a road of his own: MPI_Bcast, a store, a
 * file. They let whoever has them into the group. Does not block. CKPT_ERR_INVALID elsewhere. */
CKPT_FANOUT_API enum ckpt_status ckpt_fanout_id(const struct ckpt_fanout *fanout,
                                                uint8_t id_out[CKPT_FANOUT_ID_BYTES]);

/* ckpt_fanout_join - come together
 *
 * Every rank, once. Blocks until all have come and have a road to each other, for at most
 * timeout_ms. id is rank 0's (NULL there).
 *
 * Whoever gets an error may go on: ckpt_fanout_fetch then asks this rank's own agent. All ranks get
 * an error when one does, in time.
 *
 * ERRORS
 *     CKPT_ERR_TIMEOUT      not all ranks came, or NCCL's beginning did not end
 *     CKPT_ERR_UNSUPPORTED  NCCL was asked for, and a rank has none, or no GPU
 *     CKPT_ERR_LINK         a rank went away
 *     CKPT_ERR_PROTOCOL, CKPT_ERR_VERSION  what came to the port is no rank of this group
 *     CKPT_ERR_INVALID      no id, one that is none, or a second call */
CKPT_FANOUT_API enum ckpt_status ckpt_fanout_join(struct ckpt_fanout *fanout, const uint8_t *id,
                                                  uint32_t timeout_ms);

/* Where a shard's bytes came from.
 *
 * CKPT_FANOUT_FROM_AGENT  this rank's own agent: it is a sender, or the group failed
 * CKPT_FANOUT_FROM_GROUP  the group */
enum ckpt_fanout_way {
    CKPT_FANOUT_FROM_AGENT = 1,
    CKPT_FANOUT_FROM_GROUP = 2,
};

/* A shard as a rank of the group has it, read-only. Valid until ckpt_fanout_release or
 * ckpt_fanout_close; what is from the agent, also no longer than its context. */
struct ckpt_fanout_shard {
    uint64_t step;
    uint32_t attempt;
    uint32_t rank;
    uint32_t world;
    uint32_t digest_kind; /* enum ckpt_digest_kind */
    const void *data;     /* the whole safetensors file */
    uint64_t bytes;
    uint8_t digest[32]; /* of the commit */
    uint32_t way;       /* enum ckpt_fanout_way */
    size_t tensor_count;
    void *private_state;
};

/* ckpt_fanout_fetch - a shard that every rank of the group needs
 *
 * Every rank calls it with the same step and rank, and the same number of times. The step is a
 * number, that of ckpt_load's verdict: the group decides nothing. Blocks for at most timeout_ms, of
 * which the group has half: what it has not brought by then comes from the agent.
 * ckpt_fanout_reason says why a group was given up, also where the shard came well.
 *
 * All ranks that live get the shard, or all that hear of it in time get an error: when a rank
 * cannot have it, from anywhere, the others get that rank's error, and have no shard.
 *
 * ERRORS
 *     those of ckpt_fetch, of this rank's agent or another's
 *     CKPT_ERR_CORRUPT   the bytes are what was saved, and no safetensors file
 *     CKPT_ERR_STEP      CKPT_STEP_LATEST, or another step or shard than the leader's
 *     CKPT_ERR_INVALID   a NULL */
CKPT_FANOUT_API enum ckpt_status ckpt_fanout_fetch(struct ckpt_fanout *fanout, struct ckpt *ckpt,
                                                   uint64_t step, uint32_t rank,
                                                   uint32_t timeout_ms,
                                                   struct ckpt_fanout_shard *shard_out);

/* ckpt_fanout_find, ckpt_fanout_tensor_at - as ckpt_find and ckpt_tensor_at. CKPT_ERR_NOT_FOUND. */
CKPT_FANOUT_API enum ckpt_status ckpt_fanout_find(const struct ckpt_fanout_shard *shard,
                                                  const char *name, struct ckpt_tensor *tensor_out);
CKPT_FANOUT_API enum ckpt_status ckpt_fanout_tensor_at(const struct ckpt_fanout_shard *shard,
                                                       size_t index,
                                                       struct ckpt_tensor *tensor_out);

/* ckpt_fanout_release - give a shard back; its data must not be touched afterwards. Clears
 * *shard. */
CKPT_FANOUT_API void ckpt_fanout_release(struct ckpt_fanout *fanout,
                                         struct ckpt_fanout_shard *shard);

/* One line about why the group failed, or about the last error: "" when there was none. Valid until
 * the next call on it. */
CKPT_FANOUT_API const char *ckpt_fanout_reason(const struct ckpt_fanout *fanout);

/* ckpt_fanout_close - leave the group
 *
 * Ends its connections, and NCCL's communicator. Ranks that still want something of it fall back to
 * their agents. Does not wait for others. Releases all shards. Sets *fanout to NULL; NULL and a
 * pointer to NULL are taken. */
CKPT_FANOUT_API void ckpt_fanout_close(struct ckpt_fanout **fanout);

#ifdef __cplusplus
}
#endif

#endif
