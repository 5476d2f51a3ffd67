/* SPDX-License-Identifier: Apache-2.0 */
/* A peer's byte stream, cut as the first byte says: into frames, and each frame decoded. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/message_codec.h"
#include "wire/stream.h"

#define CAPACITY 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_frames(struct wire_stream *stream)
{
    static uint8_t memory[MESSAGE_SCRATCH_BYTES(CAPACITY)];
    struct message_scratch scratch;
    message_scratch_init(&scratch, memory, sizeof(memory));
    const uint8_t *frame;
    size_t bytes;
    while (wire_stream_next(stream, &frame, &bytes) == CKPT_OK && frame != NULL) {
        struct message message;
        uint8_t *exact = malloc(bytes);
        if (exact == NULL) {
            return;
        }
        memcpy(exact, frame, bytes);
        (void)message_decode(exact, bytes, &scratch, &message);
        free(exact);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t cut = (size_t)data[0] + 1;
    data++;
    size--;
    uint8_t *buffer = malloc(CAPACITY);
    if (buffer == NULL) {
        return 0;
    }
    struct wire_stream stream;
    wire_stream_init(&stream, buffer, CAPACITY);
    while (size > 0) {
        uint8_t *space;
        size_t room = wire_stream_space(&stream, &space);
        size_t bytes = size < cut ? size : cut;
        bytes = bytes < room ? bytes : room;
        if (bytes == 0) {
            if (stream.status == CKPT_OK) {
                abort(); /* every frame was taken, and still nothing fits */
            }
            break;
        }
        memcpy(space, data, bytes);
        wire_stream_filled(&stream, bytes);
        data += bytes;
        size -= bytes;
        take_frames(&stream);
    }
    free(buffer);
    return 0;
}
