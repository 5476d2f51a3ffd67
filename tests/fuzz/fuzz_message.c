/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses a type, the rest is its body, under a header that agrees with it. What
 * decodes must encode, and decode to the same again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "wire/message_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX (64 * CKPT_KIB)
#define FRAME_MAX (FRAME_HEADER_BYTES + 2 * BODY_MAX)

#define TYPE(type, noun, ...) type,
static const enum message_type types[] = {MESSAGE_TYPE_TABLE(TYPE, TYPE)};
#undef TYPE

/* Memory for a frame of that many bytes, which ends where nothing can be read: protobuf-c is not
 * instrumented, so the sanitizer alone would not see it read too far. */
static uint8_t *frame_before_guard(size_t bytes)
{
    static uint8_t *pages;
    const size_t room = 2 * BODY_MAX;
    if (pages == NULL) {
        pages =
            mmap(NULL, room + BODY_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED || mprotect(pages + room, BODY_MAX, PROT_NONE) != 0) {
            abort();
        }
    }
    return pages + room - bytes;
}

struct decoder {
    struct message_scratch scratch;
    struct message message;
    uint8_t memory[MESSAGE_SCRATCH_BYTES(2 * BODY_MAX)];
};

static enum ckpt_status decode(struct decoder *decoder, const uint8_t *frame, size_t bytes)
{
    message_scratch_init(&decoder->scratch, decoder->memory, sizeof(decoder->memory));
    return message_decode(frame, bytes, &decoder->scratch, &decoder->message);
}

static size_t encode(const struct message *message, uint8_t *frame)
{
    size_t bytes = 0;
    if (message_encode(message, frame, FRAME_MAX, &bytes) != CKPT_OK) {
        abort();
    }
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct decoder first;
    static struct decoder second;
    static uint8_t once[FRAME_MAX];
    static uint8_t twice[FRAME_MAX];
    if (size == 0 || size - 1 > BODY_MAX) {
        return 0;
    }
    const struct frame_header header = {
        .version = WIRE_PROTOCOL_VERSION,
        .type = (uint16_t)types[data[0] % (sizeof(types) / sizeof(types[0]))],
        .body_bytes = (uint32_t)(size - 1),
        .epoch = size,
        .sequence = data[0],
    };
    uint8_t *frame = frame_before_guard(FRAME_HEADER_BYTES + size - 1);
    memcpy(frame + FRAME_HEADER_BYTES, data + 1, size - 1);
    if (frame_encode_header(&header, data + 1, frame) != CKPT_OK) {
        abort();
    }
    enum ckpt_status status = decode(&first, frame, FRAME_HEADER_BYTES + size - 1);
    if (status == CKPT_OK) {
        size_t once_bytes = encode(&first.message, once);
        if (decode(&second, once, once_bytes) != CKPT_OK) {
            abort();
        }
        size_t twice_bytes = encode(&second.message, twice);
        if (once_bytes != twice_bytes || memcmp(once, twice, once_bytes) != 0) {
            abort();
        }
    } else if (status != CKPT_ERR_PROTOCOL && status != CKPT_ERR_TOO_LARGE) {
        abort();
    }
    return 0;
}
