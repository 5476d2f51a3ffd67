/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of a raw read, wherever it is: a process started for it, a server on another
 * machine, or this process. One thread. */
#ifndef CKPTBENCH_RAW_PEER_H
#define CKPTBENCH_RAW_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "raw/source.h"

struct raw_peer_options {
    struct source_options source;
    const char *connect; /* HOST[:PORT]; NULL: this machine */
    bool spins;
};

struct raw_peer;

/* Finds or starts it and says what is wanted. A transport within one process is opened here. */
enum ckpt_status raw_peer_open(const struct raw_peer_options *options, struct raw_peer **peer_out,
                               char *reason);
void raw_peer_close(struct raw_peer **peer);

/* Waits until its memory is there and takes what names it. CKPT_ERR_VERSION, CKPT_ERR_CONFIG: it
 * refuses; reason says why. */
enum ckpt_status raw_peer_ready(struct raw_peer *peer, uint32_t segments, char *reason);

const uint8_t *raw_peer_address(const struct raw_peer *peer, size_t *bytes_out);
const struct source_region *raw_peer_region(const struct raw_peer *peer, uint32_t segment);

/* The CPU time it has used, nanoseconds; 0 when it is this process. reading: whether reads follow:
 * a peer that is to spin does so until the next call. */
enum ckpt_status raw_peer_cpu_ns(struct raw_peer *peer, bool reading, uint64_t *ns_out,
                                 char *reason);

/* What a failed read means: whether the peer is gone, or what it says. Returns the status to go on
 * with. */
enum ckpt_status raw_peer_explain(struct raw_peer *peer, enum ckpt_status status, char *reason);

/* Of the memory that it gives; NULL: the host's. */
const char *raw_peer_gpu_model(const struct raw_peer *peer);

/* What it said of its machine; NULL when it is this process. */
const json_t *raw_peer_environment_of(const struct raw_peer *peer);

#endif
