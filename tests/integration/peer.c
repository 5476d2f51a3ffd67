/* SPDX-License-Identifier: Apache-2.0 */
#include "integration/peer.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "session/address.h"

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void peer_reconnect(struct peer *peer, const char *address)
{
    struct address resolved;
    char reason[CKPT_REASON_MAX + 1];
    if (peer->fd >= 0) {
        close(peer->fd);
    }
    assert_int_equal(address_resolve(address, false, &resolved, reason), CKPT_OK);
    peer->fd = socket(resolved.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(peer->fd >= 0);
    assert_int_equal(connect(peer->fd, (const struct sockaddr *)&resolved.socket, resolved.bytes),
                     0);
    wire_stream_init(&peer->stream, peer->buffer, PEER_BUFFER_BYTES);
}

void peer_connect(struct peer *peer, const char *address, uint8_t name)
{
    memset(peer, 0, sizeof(*peer));
    peer->fd = -1;
    peer->incarnation.bytes[0] = name;
    peer->buffer = malloc(PEER_BUFFER_BYTES);
    peer->memory = malloc(MESSAGE_SCRATCH_BYTES(CKPT_FRAME_BODY_MAX));
    assert_true(peer->buffer && peer->memory);
    message_scratch_init(&peer->scratch, peer->memory, MESSAGE_SCRATCH_BYTES(CKPT_FRAME_BODY_MAX));
    peer_reconnect(peer, address);
}

void peer_close(struct peer *peer)
{
    if (peer->fd >= 0) {
        close(peer->fd);
    }
    free(peer->buffer);
    free(peer->memory);
    memset(peer, 0, sizeof(*peer));
    peer->fd = -1;
}

bool peer_send(struct peer *peer, const struct message *message)
{
    static uint8_t frame[65536];
    size_t bytes;
    struct message numbered = *message;
    numbered.incarnation = peer->incarnation;
    numbered.sequence = ++peer->sequence;
    numbered.epoch = message->epoch ? message->epoch : peer->epoch;
    assert_int_equal(message_encode(&numbered, frame, sizeof(frame), &bytes), CKPT_OK);
    return send(peer->fd, frame, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

/* Reads once; false at the end or when nothing comes in time. */
static bool read_more(struct peer *peer, int timeout_ms)
{
    struct pollfd waiting = {.fd = peer->fd, .events = POLLIN};
    uint8_t *space;
    if (poll(&waiting, 1, timeout_ms > 0 ? timeout_ms : 0) != 1) {
        return false;
    }
    size_t room = wire_stream_space(&peer->stream, &space);
    ssize_t got = recv(peer->fd, space, room, 0);
    if (got <= 0) {
        close(peer->fd);
        peer->fd = -1;
        return false;
    }
    wire_stream_filled(&peer->stream, (size_t)got);
    return true;
}

const struct message *peer_receive(struct peer *peer, int timeout_ms)
{
    int64_t end = now_ms() + timeout_ms;
    while (peer->fd >= 0) {
        const uint8_t *frame;
        size_t bytes;
        assert_int_equal(wire_stream_next(&peer->stream, &frame, &bytes), CKPT_OK);
        if (frame) {
            assert_int_equal(message_decode(frame, bytes, &peer->scratch, &peer->message), CKPT_OK);
            if (peer->message.epoch > peer->epoch) {
                peer->epoch = peer->message.epoch;
            }
            return &peer->message;
        }
        if (!read_more(peer, (int)(end - now_ms()))) {
            return NULL;
        }
    }
    return NULL;
}

const struct message *peer_await(struct peer *peer, enum message_type type)
{
    int64_t end = now_ms() + 20000;
    for (;;) {
        const struct message *message = peer_receive(peer, (int)(end - now_ms()));
        if (!message || message->type == type) {
            return message;
        }
    }
}

bool peer_is_closed(struct peer *peer)
{
    int64_t end = now_ms() + 20000;
    while (peer_receive(peer, (int)(end - now_ms()))) {
    }
    return peer->fd < 0;
}
