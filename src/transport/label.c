/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/label.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

#define LABEL_MAGIC UINT32_C(0x4c504b43) /* "CKPL" */
#define CHECKSUM_AT 44

/* Of all bytes but its own four. */
static uint32_t checksum(const uint8_t *bytes, size_t count)
{
    uint32_t crc = crc32c(0, bytes, CHECKSUM_AT);

    return crc32c(crc, bytes + LABEL_HEADER_BYTES, count - LABEL_HEADER_BYTES);
}

enum ckpt_status label_encode(const struct label *label, uint8_t *out, size_t out_max,
                              size_t *bytes_out)
{
    size_t count = LABEL_HEADER_BYTES + label->payload_bytes;

    if (label->payload_bytes > UINT32_MAX || count > out_max) {
        return CKPT_ERR_TOO_LARGE;
    }
    store_le32(out, LABEL_MAGIC);
    store_le16(out + 4, LABEL_VERSION);
    out[6] = (uint8_t)label->kind;
    out[7] = (uint8_t)label->backend;
    store_le64(out + 8, label->transport);
    store_le64(out + 16, label->region);
    store_le64(out + 24, label->generation);
    store_le64(out + 32, label->bytes);
    store_le32(out + 40, (uint32_t)label->payload_bytes);
    if (label->payload_bytes != 0) {
        memcpy(out + LABEL_HEADER_BYTES, label->payload, label->payload_bytes);
    }
    store_le32(out + CHECKSUM_AT, checksum(out, count));
    *bytes_out = count;
    return CKPT_OK;
}

enum ckpt_status label_decode(const uint8_t *bytes, size_t count, enum label_kind kind,
                              enum label_backend backend, struct label *label_out)
{
    if (count < LABEL_HEADER_BYTES || load_le32(bytes) != LABEL_MAGIC) {
        return CKPT_ERR_PROTOCOL;
    }
    if (load_le16(bytes + 4) != LABEL_VERSION) {
        return CKPT_ERR_VERSION;
    }
    if (bytes[6] != (uint8_t)kind || bytes[7] != (uint8_t)backend ||
        load_le32(bytes + 40) != count - LABEL_HEADER_BYTES ||
        load_le32(bytes + CHECKSUM_AT) != checksum(bytes, count)) {
        return CKPT_ERR_PROTOCOL;
    }
    *label_out = (struct label){.kind = kind,
                                .backend = backend,
                                .transport = load_le64(bytes + 8),
                                .region = load_le64(bytes + 16),
                                .generation = load_le64(bytes + 24),
                                .bytes = load_le64(bytes + 32),
                                .payload = bytes + LABEL_HEADER_BYTES,
                                .payload_bytes = count - LABEL_HEADER_BYTES};
    return CKPT_OK;
}
