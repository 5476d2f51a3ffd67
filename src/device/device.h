/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One GPU, for the trainer's side: a shard's tensors go from its memory into the host's, or back,
 * on streams of their own, and what they are is computed where they are.
 *
 * A job is put on the streams by device_begin() and is over when device_await() says so; one at a
 * time. Its streams have the least priority, so that training goes first; it begins when what the
 * producer's stream had been given before is done, and what that stream is given later waits until
 * the tensors have been read, or written.
 *
 * Of tensors that go out, each chunk's value is computed on the device from the tensor itself,
 * gathered into a window; large tensors are copied straight to where they belong, by the copy
 * engine, past the window, and small ones by the window. So that a copy that went wrong, and a
 * gather that did, is seen by who computes the values of what arrived. Of tensors that come in, the
 * values are computed from the tensors after all copies.
 *
 * Where the kernels, memory or an error of theirs stand in the way, the job goes on without values:
 * device_word() says why. An error of the driver's own ends the job, and mostly the use of the
 * device by this process: device_is_lost(). By one thread. Functions that fail write one line into
 * reason (CKPT_REASON_MAX + 1 bytes).
 */
#ifndef CKPT_DEVICE_DEVICE_H
#define CKPT_DEVICE_DEVICE_H

#include <stdbool.h>

#include <ckpt/status.h>

#include "device/passes.h"
#include "digest/key.h"

struct device;

/*
 * device_of() finds the device whose memory an address is; CKPT_ERR_INVALID when it is none's.
 * CKPT_ERR_UNSUPPORTED: there is no driver here.
 */
enum ckpt_status device_of(const void *address, int *ordinal_out, char *reason);

/*
 * device_open() makes what jobs of that device need. Blocks: the driver, and CUDA's runtime in the
 * kernels' library, may start.
 *
 * ERRORS
 * - CKPT_ERR_UNSUPPORTED - there is no driver here, or it is too old
 * - CKPT_ERR_SYSTEM, CKPT_ERR_MEMORY - it refuses
 */
enum ckpt_status device_open(int ordinal, struct device **device_out, char *reason);

/* Gives everything back; no job may be under way, but for a device that is lost. Sets *device to
 * NULL, and accepts it. */
void device_close(struct device **device);

int device_ordinal(const struct device *device);

/* Whether all of those bytes are memory of this device, as the driver says now. */
bool device_has(const struct device *device, const void *address, uint64_t bytes);

/* Registers host memory with the driver, as a copy wants it, or gives it back. read_only: the
 * process may only read it. CKPT_ERR_UNSUPPORTED: the driver refuses. */
enum ckpt_status device_pin(struct device *device, void *address, uint64_t bytes, bool read_only,
                            char *reason);
void device_unpin(struct device *device, void *address);

struct device_job {
    bool to_device;
    uint8_t *host; /* the shard: written where parts are, or only read. Pinned */
    uint64_t shard_bytes;
    const struct device_part *parts; /* by place; copied */
    size_t count;
    void *stream;                 /* the producer's, or the consumer's */
    const struct digest_key *key; /* what values are under; of an unknown kind: none are wanted */
};

/*
 * device_begin() puts a job on the streams and returns.
 *
 * ERRORS (device_await() says when nothing of it is under way any more)
 * - CKPT_ERR_BUSY - an earlier job is
 * - CKPT_ERR_INVALID - the stream captures a graph
 * - CKPT_ERR_SYSTEM, CKPT_ERR_MEMORY - the driver, or this process
 */
enum ckpt_status device_begin(struct device *device, const struct device_job *job, char *reason);

/* Waits until the job is over: CKPT_OK, CKPT_ERR_TIMEOUT (it is not; ask again), or how it failed.
 * at_ns is of CLOCK_MONOTONIC. CKPT_OK when there is none. */
enum ckpt_status device_await(struct device *device, int64_t at_ns, char *reason);

/* Of the last job, which is over and ended well. */
struct device_found {
    bool has_values;
    uint64_t straight_bytes; /* copied from or to the tensors themselves */
    uint64_t packed_bytes;   /* by way of the window */
    uint64_t nans;           /* of those that went out */
    uint64_t infinities;
};
struct device_found device_found(const struct device *device);

/* The digest of the whole shard, of the last job: the values of chunks that it had, and of those
 * that are the host's alone, as they lie at job.host, which must still be there. */
enum ckpt_status device_digest(const struct device *device, struct digest *digest_out,
                               char *reason);

/* Why the last job went without values; "" when it had them, or none were wanted. */
const char *device_word(const struct device *device);

/* Nothing more is to be had of it. */
bool device_is_lost(const struct device *device);

#endif
