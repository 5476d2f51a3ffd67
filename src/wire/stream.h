/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts a byte stream into frames. The caller owns the buffer and the socket:
 *
 *     uint8_t *space;
 *     size_t room = wire_stream_space(&stream, &space);
 *     ssize_t got = recv(socket, space, room, 0);
 *     wire_stream_filled(&stream, (size_t)got);
 *     while (wire_stream_next(&stream, &frame, &frame_bytes) == CKPT_OK && frame != NULL) {
 *         message_decode(frame, frame_bytes, ...);
 *     }
 *
 * The buffer's size is the largest frame that the stream takes, so that what a peer can make a
 * daemon hold is chosen by the daemon. Pure; one thread at a time. */
#ifndef CKPT_WIRE_STREAM_H
#define CKPT_WIRE_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include <ckpt/status.h>

struct wire_stream {
    uint8_t *buffer;
    size_t capacity;
    size_t start; /* of the bytes not yet handed out */
    size_t end;
    enum ckpt_status status;          /* CKPT_OK, or why the stream is dead */
    char reason[CKPT_REASON_MAX + 1]; /* for a person, when it is dead */
};

/* Begins an empty stream over buffer, which stays the caller's and must live as long as the stream.
 * capacity is at least FRAME_HEADER_BYTES; a stream over less refuses every frame. */
void wire_stream_init(struct wire_stream *stream, uint8_t *buffer, size_t capacity);

/* Where the next bytes go, and how many fit. May move what is buffered: a frame that was handed out
 * is gone. Returns 0 only when the stream is dead or the caller has not taken its frames. */
size_t wire_stream_space(struct wire_stream *stream, uint8_t **space_out);

/* Tells the stream that `bytes` bytes were put where wire_stream_space() said. More than fit there
 * is the caller's defect: the stream dies with CKPT_ERR_INTERNAL. */
void wire_stream_filled(struct wire_stream *stream, size_t bytes);

/* The next whole frame, header included, at *frame_out, which is valid until wire_stream_space();
 * *frame_out is NULL when more bytes are needed. The frame's CRC is not checked here:
 * message_decode() does.
 *
 * Returns CKPT_OK, or what frame_decode_header() found wrong, or CKPT_ERR_TOO_LARGE when a frame is
 * larger than the buffer. A stream that failed stays dead, as nothing tells where the next frame
 * begins: the same status and stream->reason from then on. */
enum ckpt_status wire_stream_next(struct wire_stream *stream, const uint8_t **frame_out,
                                  size_t *bytes_out);

#endif
