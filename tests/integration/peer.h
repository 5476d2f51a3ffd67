/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a connection that speaks the control protocol, message by message, as a test says. */
#ifndef TESTS_INTEGRATION_PEER_H
#define TESTS_INTEGRATION_PEER_H

#include "wire/message.h"
#include "wire/message_codec.h"
#include "wire/stream.h"

#define PEER_BUFFER_BYTES (FRAME_HEADER_BYTES + CKPT_FRAME_BODY_MAX)

struct peer {
    int fd; /* -1: not connected */
    struct incarnation incarnation;
    uint64_t sequence;
    uint64_t epoch; /* the highest seen; goes out with each frame */
    uint8_t *buffer;
    uint8_t *memory;
    struct wire_stream stream;
    struct message_scratch scratch;
    struct message message; /* the last received; what it points to lives until the next */
};

/* Connects to a "host:port" or a path. name is the first byte of the incarnation; not 0. The test
 * fails when nobody answers. */
void peer_connect(struct peer *peer, const char *address, uint8_t name);

/* Connects again, as the same incarnation. */
void peer_reconnect(struct peer *peer, const char *address);
void peer_close(struct peer *peer);

/* Incarnation, sequence and epoch are filled in. False when the connection is gone. */
bool peer_send(struct peer *peer, const struct message *message);

/* The next message, waiting for timeout_ms at most; NULL when none comes or the connection ends. */
const struct message *peer_receive(struct peer *peer, int timeout_ms);

/* The next message of a type, for 20 seconds at most; others are passed over. NULL as above. */
const struct message *peer_await(struct peer *peer, enum message_type type);

/* Whether the other side closes, within 20 seconds; messages are passed over. */
bool peer_is_closed(struct peer *peer);

#endif
