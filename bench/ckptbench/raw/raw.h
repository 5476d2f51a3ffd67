/* SPDX-License-Identifier: Apache-2.0 */
/* The transport alone: one end exports memory, this process reads it, as an agent's mover does (one
 * thread, a number of slices in flight, sleeping when there is nothing to do), but digests nothing
 * and asks nobody. What replication and restore are measured against. The other end is a process
 * that is started for it, or a `ckptbench serve` on another machine; a transport that does not
 * leave its process has both ends here. */
#ifndef CKPTBENCH_RAW_H
#define CKPTBENCH_RAW_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/limits.h"
#include "report/latency.h"
#include <ckpt/status.h>

struct raw_options {
    const char *transport;      /* a spec of transport_open() */
    const char *devices;        /* as in transport_options; NULL: all */
    const char *peer_transport; /* what the other end opens, with no devices; NULL: the same */
    const char *connect;        /* HOST[:PORT] of a server; NULL: start a process */
    uint64_t bytes;         /* of memory at each end, read from its begin to its end, over again */
    uint64_t segment_bytes; /* of each region, on both sides */
    bool is_gpu;            /* the other end's memory is that of a GPU, of this index there. Ours
                               is the host's */
    uint32_t gpu;
    bool spins;     /* neither end ever sleeps */
    bool is_pinned; /* to CPUs: */
    uint32_t reader_cpu;
    uint32_t source_cpu; /* of a process that is started here */
};

/* How to read. Zeroed: everything once, as the transport likes it. */
struct raw_plan {
    uint64_t bytes;          /* in all; 0: options.bytes */
    uint64_t slice_bytes;    /* of one read; 0: what the transport likes, in whole chunks */
    uint32_t depth;          /* reads in flight; 0: what the transport likes */
    struct latency *latency; /* of each read, from its issue to its completion, added to; or NULL */
};

struct raw;

/* Finds the other end, registers, connects. Blocks: as long as the other end fills memory. On
 * failure reason (CKPT_REASON_MAX + 1 bytes) says what failed; CKPT_ERR_CONFIG: the transport, its
 * devices, or what was asked of the server. By the main thread. */
enum ckpt_status raw_open(const struct raw_options *options, struct raw **raw_out, char *reason);

/* Reads by a plan; seconds from the first read issued to the last completed, and the CPU time of
 * both ends in them. Blocks; a dead peer fails it within seconds. */
enum ckpt_status raw_read(struct raw *raw, const struct raw_plan *plan, double *seconds_out,
                          double *cpu_s_out, char *reason);

/* Compares what was read with what the other end has. */
enum ckpt_status raw_verify(const struct raw *raw);

/* What a zeroed plan means. */
uint64_t raw_slice_bytes(const struct raw *raw);
uint32_t raw_depth(const struct raw *raw);

/* The most that one read may have, and that may be in flight. */
uint64_t raw_slice_bytes_max(const struct raw *raw);
uint32_t raw_depth_max(const struct raw *raw);

/* The environment of a server's machine; NULL:
 * the other end is on this one. Lives as long as raw. */
const json_t *raw_peer_environment(const struct raw *raw);

/* The model of the other end's GPU; NULL: its memory is the host's. Lives as long as raw. */
const char *raw_gpu_model(const struct raw *raw);

/* Ends the session. Accepts NULL in it. */
void raw_close(struct raw **raw);

#endif
