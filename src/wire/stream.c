/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/stream.h"

#include <string.h>

#include "base/reason.h"
#include "wire/frame.h"

void wire_stream_init(struct wire_stream *stream, uint8_t *buffer, size_t capacity)
{
    *stream = (struct wire_stream){.buffer = buffer, .capacity = capacity, .status = CKPT_OK};
}

size_t wire_stream_space(struct wire_stream *stream, uint8_t **space_out)
{
    if (stream->start > 0) {
        /* Taken frames leave less than one frame behind, so little is moved. */
        memmove(stream->buffer, stream->buffer + stream->start, stream->end - stream->start);
        stream->end -= stream->start;
        stream->start = 0;
    }
    *space_out = stream->buffer + stream->end;
    return stream->status == CKPT_OK ? stream->capacity - stream->end : 0;
}

void wire_stream_filled(struct wire_stream *stream, size_t bytes)
{
    if (bytes > stream->capacity - stream->end) {
        stream->status = CKPT_ERR_INTERNAL;
        reason_set(stream->reason, "%zu bytes were put where %zu fit", bytes,
                   stream->capacity - stream->end);
        return;
    }
    stream->end += bytes;
}

enum ckpt_status wire_stream_next(struct wire_stream *stream, const uint8_t **frame_out,
                                  size_t *bytes_out)
{
    if (stream->status != CKPT_OK) {
        return stream->status;
    }
    const uint8_t *frame = stream->buffer + stream->start;
    size_t available = stream->end - stream->start;
    size_t needed = FRAME_HEADER_BYTES;
    enum ckpt_status status = CKPT_OK;
    if (available >= FRAME_HEADER_BYTES) {
        struct frame_header header;
        status = frame_decode_header(frame, available, &header, stream->reason);
        if (status == CKPT_OK) {
            needed = FRAME_HEADER_BYTES + (size_t)header.body_bytes;
        }
    } else if (available >= FRAME_VERSION_BYTES) {
        /* Another version's header may be shorter than ours,
         * and a stranger may wait for an answer. */
        status = frame_check_version(frame, available, stream->reason);
    }
    if (status != CKPT_OK) {
        stream->status = status;
        return status;
    }
    if (needed > stream->capacity) {
        stream->status = CKPT_ERR_TOO_LARGE;
        reason_set(stream->reason,
                   "a frame of %zu bytes is larger than the %zu that this side takes", needed,
                   stream->capacity);
        return stream->status;
    }
    if (available < needed) {
        *frame_out = NULL;
        *bytes_out = 0;
        return CKPT_OK;
    }
    stream->start += needed;
    *frame_out = frame;
    *bytes_out = needed;
    return CKPT_OK;
}
