/* SPDX-License-Identifier: Apache-2.0 */
/* libckpt: the save hook and the load hook of a training process.
 *
 * One context is one rank of one attempt of a run, connected to the agent (ckptd) of this node. The
 * library copies a rank's state into memory that the agent owns; from then on the agents keep it,
 * whatever becomes of the process.
 *
 * PROMISES
 *     The library never aborts, exits, prints, forks, installs or takes signals, starts no thread
 *     that outlives a call, and waits nowhere without a bound. A dead, slow or full agent costs a
 *     status within the bound; training goes on. What the agent says is checked before it is used.
 *
 * THREADS
 *     A context may be used by one thread at a time. Different contexts are independent. ckpt_save
 *     starts copy_threads - 1 threads of its own, with all signals blocked, and they have ended
 *     when it returns. ckpt_prepare_stop alone may be called beside another call.
 *
 *     A child made by fork() may do nothing with its parent's context but ckpt_close it; what it
 *     needs it opens itself. The connection stays the parent's alone: the child's copy of it is
 *     closed as it is made. What the parent has loaded may be read there for as long as the parent
 *     keeps it; a save's memory (ckpt_save_begin) is not there.
 *
 * STATUS
 *     Every function returns an enum ckpt_status (ckpt/status.h), CKPT_OK on success. Output
 *     arguments are set only on success. ckpt_reason() has one line about the last failure on a
 *     context: what, where, and what to do.
 *
 *     Any call on a context may return CKPT_ERR_NO_AGENT (the agent does not answer, or went away;
 *     the next call tries to connect again, with the errors of ckpt_open), CKPT_ERR_TIMEOUT,
 *     CKPT_ERR_PROTOCOL (the agent's answer makes no sense; the next call connects again),
 *     CKPT_ERR_VERSION, CKPT_ERR_INVALID (a NULL, or a context of the process that forked this
 *     one), CKPT_ERR_MEMORY, CKPT_ERR_SYSTEM (a limit of this process, as of open files: a shard of
 *     N segments needs N descriptors for a moment) or CKPT_ERR_INTERNAL (a defect: close the
 *     context). Those are not repeated below. */
#ifndef CKPT_CKPT_H
#define CKPT_CKPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ckpt/dtype.h>
#include <ckpt/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CKPT_STEP_LATEST UINT64_MAX

struct ckpt; /* a context */

struct ckpt_options {
    uint32_t size;      /* sizeof(struct ckpt_options): lets later versions add fields */
    const char *socket; /* the agent's; NULL: $CKPT_SOCKET, else /run/ckptd/ckptd.sock */
    const char *run;    /* stable over restarts: [A-Za-z0-9._/-], at most 127 bytes */
    uint32_t attempt; /* 0: the coordinator counts the run's starts, and gives this one its number.
                         * Else the caller does, and must use a higher one at each start */
    uint32_t rank;
    uint32_t world;
    uint32_t copies;       /* wanted, the owner's included; 0: the agent's default (2) */
    uint32_t timeout_ms;   /* bound of every call that talks to the agent; 0: 5000 */
    uint32_t copy_threads; /* threads that copy tensors in ckpt_save; 0: 1; at most 256 are used */
    bool reader; /* true: holds no rank, can't save; for ckpt_fetch, ckpt_info only; rank and world
                  * are not looked at */
};

/* ckpt_open - become a rank (or a reader) of a run
 *
 * Connects to the local agent and takes the rank. Blocks for at most timeout_ms; where the agent
 * has a shard of this rank, for the time of mapping (ckpt_prepare) on top. *ckpt_out must be given
 * to ckpt_close.
 *
 * STARTS
 *     All ranks that are started together are one start of the run, and restore and save together.
 *     With attempt = 0 nobody has to count them: a start is complete when each rank of the world
 *     has opened, gets the next number then, on record, and from then on what is left of earlier
 *     starts can save and load no more (CKPT_ERR_ATTEMPT). Opening needs no coordinator for it.
 *
 *     Which ranks belong together is told by $CKPT_START where it is set: a text that all ranks of
 *     a start share and no other start of the run has. In a step of Slurm the job, its restart and
 *     the step are that. torchrun starts its workers anew under one and the same environment, so
 *     there, and everywhere else, the coordinator tells starts apart: a rank that opens though
 *     another process had its place begins the next one.
 *
 *     A caller that insists on a number that another start has used gets CKPT_ERR_ATTEMPT, from
 *     ckpt_open or from the first ckpt_save, ckpt_load or ckpt_wait, and never that start's
 *     verdict.
 *
 * ERRORS
 *     CKPT_ERR_INVALID  size, world = 0 or above 65536, copies above 4, or the socket's path is too
 *                       long
 *     CKPT_ERR_NAME     run
 *     CKPT_ERR_RANK     rank >= world, or another process of this node holds the rank
 *     CKPT_ERR_WORLD    another rank of this attempt said another world
 *     CKPT_ERR_ATTEMPT  the caller insists on an attempt, and a later one of the run has begun
 *     CKPT_ERR_VERSION  agent and library speak different protocol versions
 *     CKPT_ERR_NO_AGENT nobody listens at the socket; start ckptd, or set CKPT_SOCKET
 *     CKPT_ERR_FULL     the agent serves as many ranks as it is configured for */
CKPT_API enum ckpt_status ckpt_open(const struct ckpt_options *options, struct ckpt **ckpt_out);

/* ckpt_attempt - the number of this start of the run
 *
 * 0 as long as the coordinator has not given it one: all ranks of the world have to have opened for
 * that. Saves are staged meanwhile, and ckpt_load waits. Also 0 for a reader. Does not block. */
CKPT_API uint32_t ckpt_attempt(struct ckpt *ckpt);

/* As ckpt_open; on failure writes one line about it to reason (reason_bytes with its NUL; NULL: not
 * wanted). */
CKPT_API enum ckpt_status ckpt_open_reason(const struct ckpt_options *options,
                                           struct ckpt **ckpt_out, char *reason,
                                           size_t reason_bytes);

/* ckpt_close - leave the run
 *
 * Unmaps everything, also loaded shards. What was sealed stays with the agents and goes on to
 * become consistent. Does not block. Sets *ckpt to NULL; NULL and a pointer to NULL are taken. */
CKPT_API void ckpt_close(struct ckpt **ckpt);

/* One line about the last failure on this context: "" when there was none. Valid until the next
 * call on it. */
CKPT_API const char *ckpt_reason(const struct ckpt *ckpt);

/* A tensor in the caller's memory, contiguous in row-major order. */
struct ckpt_tensor {
    const char *name; /* UTF-8, at most 4095 bytes, unique in the shard; any but "__metadata__" */
    enum ckpt_dtype dtype;
    uint32_t dimensions; /* 0: a scalar; at most 8 */
    uint64_t shape[8];
    const void *data;
    uint64_t bytes; /* must be the product of shape times the size of dtype */
};

struct ckpt_metadata {
    const char *key;
    const char *value;
};

/* ckpt_save - stage this rank's state of a step
 *
 * Lays the tensors out as a safetensors file in a slot of the agent's pinned memory and copies them
 * in; returns when the copy is complete and sealed: the tensors may be changed at once. This copy
 * is the whole stall. What follows (digest, replication, commit) needs nothing of this process.
 * Every rank of the world saves the same steps, in rising order. count = 0 is an empty shard.
 * metadata goes into the header's __metadata__ (at most 256 pairs, UTF-8); NULL for none.
 *
 * Waits at most timeout_ms, the time of the copy not counted. Memory is allocated only when there
 * are more tensors than in any save of this context before (1024 at first), before the agent is
 * asked; the first save into new segments maps them and fills page tables (ckpt_prepare does it
 * before). The copy itself allocates nothing, takes no lock and makes no system call.
 *
 * ERRORS (nothing was staged, nothing that was consistent is touched, training can go on)
 *     CKPT_ERR_STEP       step is not above this rank's last or the run's newest consistent step,
 *                         or is CKPT_STEP_LATEST
 *     CKPT_ERR_NAME, CKPT_ERR_DTYPE, CKPT_ERR_SIZE  a tensor; ckpt_reason() names it. _SIZE is also
 *                         more than 8 dimensions
 *     CKPT_ERR_FULL       the arena has no room, nor got any within a second, though older
 *                         checkpoints were asked for theirs
 *     CKPT_ERR_TOO_LARGE  larger than the arena, 65536 tensors, or 1024 segments
 *     CKPT_ERR_BUSY       an earlier save of this rank has not been sealed, or has been begun
 *     CKPT_ERR_INVALID    a reader's context, a NULL, or metadata that is not UTF-8 or has a key
 *                         twice */
CKPT_API enum ckpt_status ckpt_save(struct ckpt *ckpt, uint64_t step,
                                    const struct ckpt_tensor *tensors, size_t count,
                                    const struct ckpt_metadata *metadata, size_t metadata_count);

/* ckpt_prepare - have the memory of the next saves granted, mapped and faulted in
 *
 * A process's first save into a slot maps it and fills its page tables: for each GiB 262,144
 * entries in pages of 4 KiB, some 0.2 s, and 512 in huge pages, next to nothing. This call does it
 * before: call it when training is about to begin, and again when more is known of the state's
 * size, as after the first step, when an optimizer has its own. The first saves then cost what the
 * tenth does: their copies meet no page fault.
 *
 * bytes is the size of the shard: its tensors, and some 100 bytes and the name for each of them.
 * Too many do no harm. What was prepared before serves what is smaller, and is a part of what is
 * larger, so that asking again is cheap. ckpt_open does it by itself with the size of the rank's
 * last shard, where the agent has that.
 *
 * Nothing is promised: the memory stays free, is this rank's next, and others take it when they
 * find no other. Memory that was another user's is renewed before, for which the agent needs its
 * time. An agent that is started anew has forgotten. Saves go well without.
 *
 * All is done in the calling thread: answers of the agent are waited for at most timeout_ms, and
 * the time of mapping comes on top. To spare training that, call it in a thread of its own, between
 * the calls of the others, and have ckpt_prepare_stop end it when they need the context: it returns
 * after 32 MiB at most, and what it has mapped stays.
 *
 * ERRORS
 *     CKPT_ERR_FULL       there is no room beside what other ranks await, or this user's ranks were
 *                         told of 75 % of the node's memory already. When there is room for some of
 *                         the next three saves only, that is CKPT_OK
 *     CKPT_ERR_TOO_LARGE  larger than the arena, or 1024 segments
 *     CKPT_ERR_TIMEOUT    the agent has no answer yet; ask again
 *     CKPT_ERR_UNSUPPORTED  the agent is of a release before this call
 *     CKPT_ERR_BUSY       a save has been begun
 *     CKPT_ERR_SIZE       bytes is 0
 *     CKPT_ERR_INVALID    a reader's context */
CKPT_API enum ckpt_status ckpt_prepare(struct ckpt *ckpt, uint64_t bytes);

/* ckpt_prepare_stop - end the ckpt_prepare that another thread is in, or comes into before the next
 * save. Any thread, at any time until ckpt_close; does not block. */
CKPT_API void ckpt_prepare_stop(struct ckpt *ckpt);

/* ckpt_save_begin - stage a step of which the caller copies a part
 *
 * For memory that this library cannot read, as a GPU's. As ckpt_save, but a tensor whose data is
 * NULL is not copied, and nothing is sealed. addresses_out gets where each of the count tensors
 * lies in the slot: the caller writes those it left out, in any thread or by a device, and then
 * calls ckpt_save_end. The addresses are good until then, and not after ckpt_close. ckpt_wait,
 * ckpt_info, ckpt_load and ckpt_fetch may be called meanwhile; a save is CKPT_ERR_BUSY.
 *
 * Errors as ckpt_save. */
CKPT_API enum ckpt_status ckpt_save_begin(struct ckpt *ckpt, uint64_t step,
                                          const struct ckpt_tensor *tensors, size_t count,
                                          const struct ckpt_metadata *metadata,
                                          size_t metadata_count, void **addresses_out);

/* Memory of a slot, as this process has it mapped for writing: whole pages, a save's addresses lie
 * in one. */
struct ckpt_mapping {
    void *address;
    uint64_t bytes;
    uint64_t generation; /* counts the mappings of the context: the same address with another
                          * generation is other memory */
};

/* ckpt_watch_mappings - be told when slots are mapped and unmapped
 *
 * For what is tied to a mapping, as a registration with a device's driver, which has to go before
 * the mapping does: the address may be other memory's a moment later. watch is called in the thread
 * of the call that maps or unmaps (ckpt_save, ckpt_save_begin, ckpt_prepare, ckpt_close), after a
 * mapping was made (mapped = true) and before one is taken away (false); mappings that are there
 * already are told of at once. It may not call this library with the same context. It is not called
 * in a child of fork(), which has none of the mappings. One watch a context; NULL ends it.
 *
 * ERRORS
 *     CKPT_ERR_INVALID  a reader's context, which maps no slots */
typedef void ckpt_watch(void *context, const struct ckpt_mapping *mapping, bool mapped);
CKPT_API enum ckpt_status ckpt_watch_mappings(struct ckpt *ckpt, ckpt_watch *watch, void *context);

/* A tensor of a begun save that lies in a device's memory. */
struct ckpt_device_tensor {
    size_t tensor;   /* its place among those of ckpt_save_begin */
    uint64_t offset; /* of its first byte in the dma-buf */
};

/* ckpt_save_gather - have the agent read tensors of a begun save out of a device's memory
 *
 * For the tensors that ckpt_save_begin did not copy: in place of a copy through the host, the
 * agent's NIC reads them from the device. dmabuf_fd is a dma-buf of that memory, as
 * cuMemGetHandleForAddressRange() exports it; the tensors lie in it contiguously, and it stays the
 * caller's. When the call returns the bytes are in the slot, and the agent knows nothing of the
 * device's memory any more: it may be changed and freed. Until then neither may be. What computes
 * on the device must have ended before (synchronize the stream).
 *
 * Waits at most timeout_ms for each GiB. Several calls may follow each other, for several dma-bufs.
 *
 * ERRORS
 *     CKPT_ERR_UNSUPPORTED  the agent's transport, or a device of it, registers no dma-bufs: copy
 *                           by the host, to the addresses of ckpt_save_begin
 *     CKPT_ERR_LINK, CKPT_ERR_MEMORY, CKPT_ERR_SYSTEM ...  the read failed; likewise, or again
 *     CKPT_ERR_INVALID      step was not begun, no tensors, or no descriptor
 *     CKPT_ERR_SIZE         no such tensor, or an offset that no memory has
 *     CKPT_ERR_TIMEOUT, CKPT_ERR_NO_AGENT  no answer: the save is over, as after ckpt_save_cancel,
 *                           for the slot may still be written to */
CKPT_API enum ckpt_status ckpt_save_gather(struct ckpt *ckpt, uint64_t step, int dmabuf_fd,
                                           const struct ckpt_device_tensor *tensors, size_t count);

/* Where a tensor of a begun save lies in an NVIDIA GPU's memory. */
struct ckpt_device_source {
    size_t tensor;       /* its place among those of ckpt_save_begin */
    const void *address; /* on the device, as CUDA gives it: of any alignment */
};

/* ckpt_save_device - copy tensors of a begun save out of a GPU's memory
 *
 * For tensors that ckpt_save_begin did not copy. Puts the copies on streams of its own, of the
 * least priority, and returns: they begin when what `stream` (a CUstream or cudaStream_t; NULL: the
 * legacy one) has been given before is done, and what it is given later waits until the tensors
 * have been read, so that training may go on changing them. ckpt_save_end waits for the copies and
 * seals. Once a save; all tensors are of one GPU.
 *
 * PROOF
 *     Where libckpt_kernels.so.1 is found, what the GPU's bytes are is computed on the GPU, under a
 *     key of this save alone, from the tensors and not from their copies. The agent computes the
 *     same from the slot: where they differ, as after a copy over PCIe that went wrong, the
 *     checkpoint does not become consistent, and ckpt_wait returns CKPT_ERR_DIGEST. How many
 *     numbers are not finite is counted on the way. That takes 2 to 32 MiB of the GPU's memory, and
 *     some for tables. Without the library, the memory, or every left-out tensor of the save in
 *     this call, the copies go on without a proof: the agent logs it, and ckpt_device_report says
 *     why.
 *
 * The driver is looked for at the first call, and the slots' memory registered with it, which takes
 * some 0.1 s a GiB. Waits for nothing else.
 *
 * ERRORS (the save is still begun: the caller may copy by other means)
 *     CKPT_ERR_UNSUPPORTED  there is no driver, or it does not register the slot's memory
 *     CKPT_ERR_INVALID      step was not begun; a tensor is none that was left out, or there twice,
 *                           or its memory is none of that GPU; a second call; or the stream
 *                           captures a CUDA graph, which a save is no part of
 *     CKPT_ERR_SYSTEM, CKPT_ERR_MEMORY  CUDA refuses. After most errors of CUDA's the process can
 *                           use the GPU no more */
CKPT_API enum ckpt_status ckpt_save_device(struct ckpt *ckpt, uint64_t step,
                                           const struct ckpt_device_source *tensors, size_t count,
                                           void *stream);

/* What became of the last copies from or to a GPU. */
struct ckpt_device_report {
    uint32_t size;       /* sizeof(struct ckpt_device_report): lets later versions add fields */
    bool is_proven;      /* what the GPU has was computed on the GPU */
    uint64_t bytes;      /* copied */
    uint64_t packed;     /* of them, in small tensors that were gathered first */
    uint64_t nans;       /* of a save that is proven: numbers that are not finite */
    uint64_t infinities; /* likewise */
    char reason[256];    /* why they are not proven; "" otherwise */
};

/* ckpt_device_report - of the last ckpt_save_end or ckpt_load_device that returned CKPT_OK
 *
 * CKPT_ERR_NOT_FOUND: there was none. CKPT_ERR_INVALID: size. */
CKPT_API enum ckpt_status ckpt_device_report(struct ckpt *ckpt,
                                             struct ckpt_device_report *report_out);

/* ckpt_save_end - seal what ckpt_save_begin has begun, once the caller's copies are complete
 *
 * Waits for those of ckpt_save_device, at most timeout_ms and a second for each GiB. Whatever it
 * returns, the save is over.
 *
 * ERRORS
 *     CKPT_ERR_INVALID   step was not begun
 *     CKPT_ERR_NO_AGENT  the agent went away meanwhile, nothing was staged
 *     CKPT_ERR_TIMEOUT   the GPU has not ended its copies. They may still write into the slot, so
 *                        it stays this rank's, and a save is CKPT_ERR_BUSY until they have ended
 *     CKPT_ERR_SYSTEM    CUDA failed: nothing was staged */
CKPT_API enum ckpt_status ckpt_save_end(struct ckpt *ckpt, uint64_t step);

/* ckpt_save_cancel - give up what ckpt_save_begin has begun; nothing may write to its addresses any
 * more. CKPT_ERR_INVALID: step was not begun. */
CKPT_API enum ckpt_status ckpt_save_cancel(struct ckpt *ckpt, uint64_t step);

/* Memory of the caller's. */
struct ckpt_piece {
    const void *data;
    uint64_t bytes;
};

/* ckpt_replica_value - a value of bytes that several ranks hold alike
 *
 * XXH3 (64 bits) of the pieces' bytes, one after the other, under seed. Equal bytes have equal
 * values; bytes that differ by mistake have different ones, but for one chance in 2^64. It names
 * nothing and proves nothing against whoever means to deceive: BLAKE3 does that. Any thread; does
 * not allocate; reads at the speed of memory. A piece of 0 bytes may be at NULL.
 *
 * RETURN VALUE
 * The value; that of no bytes when count is 0. */
CKPT_API uint64_t ckpt_replica_value(const struct ckpt_piece *pieces, size_t count, uint64_t seed);

/* What a rank says of state that it holds alike with others (data-parallel replicas). */
struct ckpt_replica {
    uint32_t leader; /* the lowest rank of those that hold it alike: it says the same */
    uint32_t part;   /* which part of that state the value is of: only values of one part are
                      * compared */
    uint64_t value;  /* ckpt_replica_value() of that part, as this rank holds it now */
};

/* ckpt_save_replica - say with a save that other ranks hold the same state
 *
 * For ranks that stage only a share of state which all of them hold: each also says a value of a
 * part that it does not stage, another part with each save. To be called before ckpt_save (or
 * ckpt_save_end) of the step; it rides with that step's seal, and is forgotten with the next. Does
 * not block, and talks to nobody.
 *
 * When a rank's value of a part differs from its leader's, the checkpoint never becomes consistent:
 * ckpt_wait returns CKPT_ERR_DIVERGED, and ckpt_reason() names the ranks and the part. From then on
 * no save of this attempt that says such values becomes consistent: each rank must stage all that
 * it holds, and say nothing here.
 *
 * ERRORS
 *     CKPT_ERR_INVALID  a reader's context, replica is NULL, or step is CKPT_STEP_LATEST
 *     CKPT_ERR_RANK     leader is above this rank */
CKPT_API enum ckpt_status ckpt_save_replica(struct ckpt *ckpt, uint64_t step,
                                            const struct ckpt_replica *replica);

/* ckpt_save_bytes - stage opaque bytes: one U8 tensor named "bytes". Errors as ckpt_save. */
CKPT_API enum ckpt_status ckpt_save_bytes(struct ckpt *ckpt, uint64_t step, const void *data,
                                          uint64_t bytes);

/* ckpt_save_shard - stage a whole safetensors file as it is, byte for byte, so that the shard's
 * digest is the file's own BLAKE3. CKPT_ERR_CORRUPT when the bytes are not a safetensors file,
 * _NAME, _DTYPE, _SIZE or _TOO_LARGE when a tensor in it is none of ckptd's; else as ckpt_save. */
CKPT_API enum ckpt_status ckpt_save_shard(struct ckpt *ckpt, uint64_t step, const void *data,
                                          uint64_t bytes);

/* ckpt_wait - wait until a saved step is CONSISTENT
 *
 * Blocks for at most timeout_ms (0: only looks). An agent that is lost meanwhile is connected to
 * again until then. CKPT_OK: every rank's shard of the step has its copies, equal by digest, in
 * distinct failure domains, and the commit is durable.
 *
 * ERRORS
 *     CKPT_ERR_TIMEOUT    not yet; ask again
 *     CKPT_ERR_NO_COORDINATOR  not in time, and the agent has no coordinator: it may become
 *                         consistent when one is back; ask again. Not with a timeout_ms of 0
 *     CKPT_ERR_NOT_FOUND  the step is none of the last 64 that this context saved
 *     others              the checkpoint will never be consistent: CKPT_ERR_ABORTED, _DIGEST,
 *                         _WORLD, _STEP, _RANK, _ATTEMPT, _NO_DOMAIN, _FULL,
 *                         _DIVERGED (ckpt_save_replica) ...;
 *                         ckpt_reason() says why */
CKPT_API enum ckpt_status ckpt_wait(struct ckpt *ckpt, uint64_t step, uint32_t timeout_ms);

/* ckpt_wait_persisted - wait until a saved step is whole in the tier
 *
 * First as ckpt_wait, with its errors; then asks the coordinator through the agent, after 50 ms and
 * later and later, to once a second. Blocks for at most timeout_ms in all. 0 only looks at what has
 * come, and asks where it is time to: who looks again and again asks no more often than who waits.
 * CKPT_OK: every rank's shard of the step and their manifest are durable in the tier (`[tier] path`
 * of ckptd), and that is on record. It stays true, whatever becomes of the copies in memory.
 *
 * Not every step goes there: `[tier] every` and `max_age` of ckptctld say which, and of those that
 * wait while another is on its way the newest alone goes next. A step that is not due is passed
 * over as soon as the one that stands for it is there; one that was due, when a later step is.
 *
 * ERRORS, after it was consistent
 *     CKPT_ERR_TIMEOUT      not yet; ask again. As long as the tier is full or hangs, too
 *     CKPT_ERR_NO_COORDINATOR  not in time, as of ckpt_wait
 *     CKPT_ERR_STEP         it was passed over, and will never be there
 *     CKPT_ERR_UNSUPPORTED  no agent has a tier; or the agent or the coordinator is of before this
 *                           call and cannot tell
 *     CKPT_ERR_RETIRED      it is no longer in memory, a later step is in the tier, and whether
 *                           this one went there before is not known: `ckptctl tier list` tells.
 *                           Who waits while it goes there hears of it within a second
 *     CKPT_ERR_QUARANTINED, CKPT_ERR_ABORTED  it was lost, or given up, before it got there */
CKPT_API enum ckpt_status ckpt_wait_persisted(struct ckpt *ckpt, uint64_t step,
                                              uint32_t timeout_ms);

struct ckpt_info {
    uint64_t step;
    uint32_t attempt;
    uint32_t world;
    uint32_t copies;
    uint64_t bytes; /* of all shards */
};

/* ckpt_info - which checkpoint is there
 *
 * step or CKPT_STEP_LATEST: the newest consistent one. For a new world to find out how to read an
 * old one. CKPT_ERR_NO_CHECKPOINT, CKPT_ERR_NOT_FOUND, CKPT_ERR_QUARANTINED,
 * CKPT_ERR_NO_COORDINATOR. */
CKPT_API enum ckpt_status ckpt_info(struct ckpt *ckpt, uint64_t step, struct ckpt_info *info_out);

/* Of which kind a digest is. The numbers stay as they are.
 *
 * CKPT_DIGEST_BLAKE3       of the bytes: b3sum prints the same of the file
 * CKPT_DIGEST_FINGERPRINT  under a key of the run that its daemons alone have: equal for equal
 *                          shards of one run, and of no use to whoever has the bytes alone.
 *                          `ckptctl export` prints BLAKE3 of what it writes
 *
 * What runs are proven with is the coordinator's to set, and a run keeps it: `[coordinator] digest`
 * of ckptctld. */
enum ckpt_digest_kind {
    CKPT_DIGEST_UNKNOWN = 0, /* filled in by a library of before there were kinds: BLAKE3 */
    CKPT_DIGEST_BLAKE3 = 1,
    CKPT_DIGEST_FINGERPRINT = 2,
};

/* A shard, mapped read-only and without a copy from the agent's memory. Valid until ckpt_unload or
 * ckpt_close. The agent keeps it for this context as long as the connection lasts: should the agent
 * end meanwhile, one that is started again knows nothing of it and may use the memory for another
 * shard when the checkpoint is retired. */
struct ckpt_shard {
    uint64_t step;
    uint32_t attempt;
    uint32_t rank;
    uint32_t world;
    uint32_t digest_kind; /* of digest: enum ckpt_digest_kind. Where padding was: a program of
                           * before it has the same struct */
    const void *data;     /* the whole safetensors file */
    uint64_t bytes;
    uint8_t digest[32]; /* of data, committed and found equal by the agent over this very memory */
    size_t tensor_count;
    void *private_state;
};

/* ckpt_load - this rank's shard of the step that all ranks of the attempt restore
 *
 * Collective in effect, not in communication: every rank of the attempt calls it the same number of
 * times, and all get the same step, or all get an error. A call that fails counts too, but for a
 * CKPT_ERR_INVALID. Blocks for at most timeout_ms, not those of the context; an agent that is lost
 * meanwhile is connected to again until then. step: CKPT_STEP_LATEST, or a number (then no other
 * step is tried in its place).
 *
 * ERRORS
 *     CKPT_ERR_NO_CHECKPOINT  the run has no consistent checkpoint: start from the beginning
 *     CKPT_ERR_WORLD          it was saved by another number of ranks: use ckpt_info and ckpt_fetch
 *     CKPT_ERR_LOST           no good copy of some shard is left, or all are on nodes that are
 *                             away; ckpt_reason() names them. Nothing is given up: when one is back
 *                             the next load gives the step
 *     CKPT_ERR_NOT_FOUND, CKPT_ERR_QUARANTINED, CKPT_ERR_RETIRED  the step asked for
 *     CKPT_ERR_CORRUPT        its bytes are what was saved, and no safetensors file
 *     CKPT_ERR_FULL           this context holds as many shards as the agent lends: unload one
 *     CKPT_ERR_TIMEOUT        not every rank asked, or not every shard arrived, in time
 *     CKPT_ERR_NO_COORDINATOR  not in time: the agent has no coordinator, or none that answers */
CKPT_API enum ckpt_status ckpt_load(struct ckpt *ckpt, uint64_t step, uint32_t timeout_ms,
                                    struct ckpt_shard *shard_out);

/* ckpt_fetch - any rank's shard of a consistent checkpoint, for resharding, serving or export
 *
 * Joins no verdict and waits for no other rank. Errors as ckpt_load, and CKPT_ERR_RANK. */
CKPT_API enum ckpt_status ckpt_fetch(struct ckpt *ckpt, uint64_t step, uint32_t rank,
                                     uint32_t timeout_ms, struct ckpt_shard *shard_out);

/* Of which shard a range was read, and what that took. */
struct ckpt_range {
    uint64_t step;
    uint32_t attempt;
    uint32_t world;
    uint32_t digest_kind; /* that it was proven by: enum ckpt_digest_kind */
    bool is_whole;        /* the agent proved the whole shard for it, and fetched it before where it
                           * lies on another node */
    uint64_t shard_bytes; /* of the whole safetensors file */
    uint8_t digest[32];   /* of all of it, as committed */
};

/* ckpt_read_range - copy bytes [offset, offset + bytes) of a tensor of any rank's shard into buffer
 *
 * As ckpt_fetch followed by ckpt_read, but only the chunks of 1 MiB that the range touches are
 * proven against the commit, and moved where they lie on another node. tensor NULL: offset counts
 * in the safetensors file itself, from its first byte. bytes 0 reads nothing, and says of which
 * shard that was; buffer may be NULL then.
 *
 * Where a tensor lies is in the file's header, which is read in the same way: one more range, which
 * costs little, the first time. The indexes of the last 8 shards are kept with the context; that of
 * another step, start or content is never used for a shard.
 *
 * step may be CKPT_STEP_LATEST: the newest consistent step when the call is made, which range_out
 * says. Each such call looks at the header anew; for several ranges of one step ask ckpt_info for
 * its number, or take that of the first range_out. range_out NULL: not wanted.
 *
 * Of a run proven by BLAKE3, by an agent, peer or coordinator of before ranges, or where a part
 * cannot be had, the whole is proven and fetched: range_out->is_whole. Then whole_out gets it as
 * ckpt_fetch gives it, so that more is read from it (ckpt_read) and nothing is fetched twice: give
 * it to ckpt_unload. Otherwise *whole_out is cleared. whole_out NULL: it is given back at once, and
 * each such call costs a whole fetch.
 *
 * Nothing else is held between two calls: a step may be retired meanwhile. Blocks for at most
 * timeout_ms, not those of the context.
 *
 * ERRORS (nothing was written to buffer)
 *     CKPT_ERR_NOT_FOUND  the shard has no such tensor, or the step is not there
 *     CKPT_ERR_SIZE       the range leaves the tensor, or the file
 *     CKPT_ERR_CORRUPT    the file's bytes are what was saved, and no safetensors file
 *     CKPT_ERR_INVALID    buffer is NULL and bytes is not 0
 *     others              as ckpt_fetch */
CKPT_API enum ckpt_status ckpt_read_range(struct ckpt *ckpt, uint64_t step, uint32_t rank,
                                          const char *tensor, uint64_t offset, uint64_t bytes,
                                          void *buffer, uint32_t timeout_ms,
                                          struct ckpt_range *range_out,
                                          struct ckpt_shard *whole_out);

/* ckpt_unload - give a shard back; its data must not be touched afterwards. Clears *shard. */
CKPT_API void ckpt_unload(struct ckpt *ckpt, struct ckpt_shard *shard);

/* Where a tensor of a loaded shard is to be put in an NVIDIA GPU's memory. */
struct ckpt_device_target {
    const char *name;
    void *address; /* on the device, of any alignment */
    uint64_t bytes;
};

/* ckpt_load_device - copy tensors of a loaded shard into a GPU's memory, and prove them there
 *
 * Returns when the tensors are there. The copies begin when what `stream` (as ckpt_save_device) has
 * been given before is done, and what it is given later waits for them. What lies on the GPU is
 * then computed on the GPU, from the tensors, and compared: with the shard's digest itself, where
 * that is BLAKE3; else with what this process computes of the shard's memory, which the agent has
 * proven, under a key of this call alone. Bytes of the shard that are in no target count as they
 * lie in its memory. Where they differ all is copied once more.
 *
 * Waits at most timeout_ms of the context and a second for each GiB. Without libckpt_kernels.so.1,
 * or memory on the GPU, the copies are not proven: ckpt_device_report says why.
 *
 * ERRORS (what the targets have is not to be used)
 *     CKPT_ERR_NOT_FOUND, CKPT_ERR_SIZE  a tensor; ckpt_reason() names it
 *     CKPT_ERR_DIGEST       what arrived is not what was sent, twice
 *     CKPT_ERR_BUSY         a save's copies are under way on the GPU
 *     CKPT_ERR_TIMEOUT      the GPU has not ended its copies: the targets may still be written to
 *     CKPT_ERR_UNSUPPORTED, CKPT_ERR_INVALID, CKPT_ERR_SYSTEM, CKPT_ERR_MEMORY  as of
 *                           ckpt_save_device */
CKPT_API enum ckpt_status ckpt_load_device(struct ckpt *ckpt, const struct ckpt_shard *shard,
                                           const struct ckpt_device_target *targets, size_t count,
                                           void *stream);

/* ckpt_find, ckpt_tensor_at - a tensor of a loaded shard, by name or by place (0..tensor_count-1)
 *
 * tensor_out->data points into the mapping, tensor_out->name into the shard's index; both live as
 * long as the shard. CKPT_ERR_NOT_FOUND. */
CKPT_API enum ckpt_status ckpt_find(const struct ckpt_shard *shard, const char *name,
                                    struct ckpt_tensor *tensor_out);
CKPT_API enum ckpt_status ckpt_tensor_at(const struct ckpt_shard *shard, size_t index,
                                         struct ckpt_tensor *tensor_out);

/* ckpt_read - copy bytes [offset, offset + bytes) of a tensor of a loaded shard into buffer
 *
 * CKPT_ERR_NOT_FOUND (name), CKPT_ERR_SIZE (the range leaves the tensor). */
CKPT_API enum ckpt_status ckpt_read(const struct ckpt_shard *shard, const char *name,
                                    uint64_t offset, uint64_t bytes, void *buffer);

/* Of the library: "0.1.0". */
CKPT_API const char *ckpt_version(void);

#ifdef __cplusplus
}
#endif

#endif
