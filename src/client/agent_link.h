/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to the agent: frames out, frames and descriptors in, each within a deadline.
 *
 * The socket is non-blocking, closed on exec, and never raises SIGPIPE. Whatever goes wrong with
 * the stream closes it, with all descriptors that arrived. Our incarnation and the sequence outlive
 * the connections, so that the agent never takes a frame twice.
 *
 * reason_out of every function has CKPT_REASON_MAX + 1 bytes and is set on failure. One thread. */
#ifndef CKPT_CLIENT_AGENT_LINK_H
#define CKPT_CLIENT_AGENT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/deadline.h"
#include "wire/message.h"
#include "wire/message_codec.h"
#include "wire/stream.h"

struct agent_link {
    int fd;          /* -1: not connected */
    uint32_t number; /* counts the connections, from 1 */
    struct incarnation incarnation;
    uint64_t sequence;
    struct incarnation agent; /* whose sequence is known: kept over connections */
    uint64_t agent_sequence;
    struct wire_stream stream;
    struct message_scratch scratch;
    uint8_t *memory; /* of all buffers */
    uint8_t *output;
    size_t output_bytes;
    uint32_t arrived_count; /* descriptors, in the order of their arrival */
    int arrived[CKPT_SEGMENTS_PER_SHARD_MAX];
    uint32_t carried_count; /* those of the last message */
    int carried[CKPT_SEGMENTS_PER_SHARD_MAX];
};

/* Allocates the buffers and draws the incarnation; connects nothing.
 * CKPT_ERR_MEMORY, CKPT_ERR_SYSTEM (the kernel gives no random numbers). */
enum ckpt_status agent_link_init(struct agent_link *link, char *reason_out);

/* Closes and frees. */
void agent_link_fini(struct agent_link *link);

/* Connects to the UNIX socket at path. CKPT_ERR_NO_AGENT: nobody listens there, or nobody took the
 * connection in time. CKPT_ERR_NAME: the path is too long. CKPT_ERR_SYSTEM: no socket to be had. */
enum ckpt_status agent_link_connect(struct agent_link *link, const char *path,
                                    struct deadline deadline, char *reason_out);

/* Closes the connection and every descriptor that arrived by it. */
void agent_link_close(struct agent_link *link);

bool agent_link_is_up(const struct agent_link *link);

/* Sends a frame, incarnation and sequence filled in. A frame that is only half sent when the time
 * is up closes the connection. CKPT_ERR_LINK (not connected, or the agent has gone),
 * CKPT_ERR_TIMEOUT, CKPT_ERR_INTERNAL (the message breaks the protocol's bounds). */
enum ckpt_status agent_link_send(struct agent_link *link, struct message *message,
                                 struct deadline deadline, char *reason_out);

/* The same with a descriptor, which stays the caller's and is passed with the first byte. */
enum ckpt_status agent_link_send_with(struct agent_link *link, struct message *message,
                                      int descriptor, struct deadline deadline, char *reason_out);

/* Waits for the next frame that is not old. *message_out lives until the next call, and so do its
 * descriptors, carried[0..carried_count). A deadline that has passed only looks.
 *
 * CKPT_ERR_TIMEOUT (the connection stays); CKPT_ERR_LINK, CKPT_ERR_PROTOCOL, CKPT_ERR_VERSION,
 * CKPT_ERR_SYSTEM (this process may open no more descriptors): the connection is closed. */
enum ckpt_status agent_link_receive(struct agent_link *link, struct deadline deadline,
                                    struct message *message_out, char *reason_out);

#endif
