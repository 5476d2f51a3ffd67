/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/reason.h"
#include "wire/message.h"

static const uint8_t magic[4] = {'C', 'K', 'P', 'T'};
static const uint8_t no_crc[4];

static uint32_t frame_crc(const uint8_t *header, const void *body, size_t body_bytes)
{
    uint32_t crc = crc32c(0, header, offsetof(struct frame_bytes, crc));
    crc = crc32c(crc, no_crc, sizeof(no_crc));
    return body_bytes == 0 ? crc : crc32c(crc, body, body_bytes);
}

enum ckpt_status frame_encode_header(const struct frame_header *header, const void *body,
                                     uint8_t bytes_out[FRAME_HEADER_BYTES])
{
    if (header->body_bytes > CKPT_FRAME_BODY_MAX) {
        return CKPT_ERR_TOO_LARGE;
    }
    struct frame_bytes bytes;
    memcpy(bytes.magic, magic, sizeof(magic));
    store_le16(bytes.version, header->version);
    store_le16(bytes.type, header->type);
    store_le32(bytes.body_bytes, header->body_bytes);
    store_le64(bytes.epoch, header->epoch);
    memcpy(bytes.incarnation, header->incarnation.bytes, sizeof(bytes.incarnation));
    store_le64(bytes.sequence, header->sequence);
    store_le32(bytes.crc, frame_crc((const uint8_t *)&bytes, body, header->body_bytes));
    memcpy(bytes_out, &bytes, sizeof(bytes));
    return CKPT_OK;
}

uint16_t frame_version(const uint8_t bytes[FRAME_VERSION_BYTES])
{
    return load_le16(bytes + offsetof(struct frame_bytes, version));
}

enum ckpt_status frame_check_version(const uint8_t *bytes, size_t available, char *reason_out)
{
    if (available < FRAME_VERSION_BYTES) {
        return reason_refuse(reason_out, CKPT_ERR_PROTOCOL, "a frame ends after %zu bytes",
                             available);
    }
    if (memcmp(bytes, magic, sizeof(magic)) != 0) {
        return reason_refuse(
            reason_out, CKPT_ERR_PROTOCOL,
            "a frame begins with %02x %02x %02x %02x instead of \"CKPT\": the other side "
            "is not of ckptd, or bytes were lost",
            bytes[0], bytes[1], bytes[2], bytes[3]);
    }
    uint16_t version = frame_version(bytes);
    if (version != WIRE_PROTOCOL_VERSION) {
        return reason_refuse(
            reason_out, CKPT_ERR_VERSION,
            "the other side speaks protocol version %u, this side version %u: install "
            "one version of ckptd everywhere",
            version, WIRE_PROTOCOL_VERSION);
    }
    return CKPT_OK;
}

enum ckpt_status frame_decode_header(const uint8_t *bytes, size_t available,
                                     struct frame_header *header_out, char *reason_out)
{
    enum ckpt_status status = frame_check_version(bytes, available, reason_out);
    if (status != CKPT_OK) {
        return status;
    }
    if (available < FRAME_HEADER_BYTES) {
        return reason_refuse(reason_out, CKPT_ERR_PROTOCOL, "a frame ends after %zu bytes",
                             available);
    }
    struct frame_bytes raw;
    memcpy(&raw, bytes, sizeof(raw));
    uint32_t body_bytes = load_le32(raw.body_bytes);
    if (body_bytes > CKPT_FRAME_BODY_MAX) {
        return reason_refuse(reason_out, CKPT_ERR_TOO_LARGE,
                             "a frame of type %u has a body of %" PRIu32 " bytes, above %" PRIu64,
                             load_le16(raw.type), body_bytes, CKPT_FRAME_BODY_MAX);
    }
    struct frame_header header = {
        .version = frame_version(bytes),
        .type = load_le16(raw.type),
        .body_bytes = body_bytes,
        .epoch = load_le64(raw.epoch),
        .sequence = load_le64(raw.sequence),
        .crc = load_le32(raw.crc),
    };
    memcpy(header.incarnation.bytes, raw.incarnation, sizeof(raw.incarnation));
    *header_out = header;
    return CKPT_OK;
}

enum ckpt_status frame_check(const uint8_t *frame, size_t bytes, struct frame_header *header_out,
                             char *reason_out)
{
    struct frame_header header;
    enum ckpt_status status = frame_decode_header(frame, bytes, &header, reason_out);
    if (status != CKPT_OK) {
        return status;
    }
    if (bytes - FRAME_HEADER_BYTES != header.body_bytes) {
        return reason_refuse(reason_out, CKPT_ERR_PROTOCOL,
                             "a frame of type %u has a body of %zu bytes, its header says %" PRIu32,
                             header.type, bytes - FRAME_HEADER_BYTES, header.body_bytes);
    }
    uint32_t crc = frame_crc(frame, frame + FRAME_HEADER_BYTES, header.body_bytes);
    if (crc != header.crc) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                             "a frame of type %u has the CRC %08" PRIx32
                             ", its bytes have %08" PRIx32,
                             header.type, header.crc, crc);
    }
    *header_out = header;
    return CKPT_OK;
}
