/* SPDX-License-Identifier: Apache-2.0 */
/* The frame that carries every message of the control protocol: a header of 48 bytes, then the
 * body. docs/formats.md has the layout as a table. All numbers are little-endian.
 *
 * The magic and the version never move, whatever a later version changes, so that either side can
 * always tell "another version" from "not this protocol".
 *
 * The CRC guards against accidents and defects. It is no proof of who sent the frame.
 *
 * Everything here is pure: no allocation, no I/O, no state. Any thread. */
#ifndef CKPT_WIRE_FRAME_H
#define CKPT_WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"
#include "base/limits.h"
#include <ckpt/status.h>

/* The header as it lies in memory and on the wire. Bytes only, so that it has no padding and no
 * alignment. */
struct frame_bytes {
    uint8_t magic[4]; /* "CKPT" */
    uint8_t version[2];
    uint8_t type[2];
    uint8_t body_bytes[4];
    uint8_t epoch[8];
    uint8_t incarnation[INCARNATION_BYTES];
    uint8_t sequence[8];
    uint8_t crc[4]; /* CRC-32C of the header with this field zero, then of the body */
};

#define FRAME_HEADER_BYTES 48
#define FRAME_VERSION_BYTES 6 /* how much of a frame tells its version */
#define FRAME_BYTES_MAX (FRAME_HEADER_BYTES + CKPT_FRAME_BODY_MAX)

_Static_assert(sizeof(struct frame_bytes) == FRAME_HEADER_BYTES, "the header is 48 bytes");
_Static_assert(_Alignof(struct frame_bytes) == 1, "a header may lie anywhere");
_Static_assert(offsetof(struct frame_bytes, version) == 4, "never moves");
_Static_assert(offsetof(struct frame_bytes, type) == 6, "wire format");
_Static_assert(offsetof(struct frame_bytes, body_bytes) == 8, "wire format");
_Static_assert(offsetof(struct frame_bytes, epoch) == 12, "wire format");
_Static_assert(offsetof(struct frame_bytes, incarnation) == 20, "wire format");
_Static_assert(offsetof(struct frame_bytes, sequence) == 36, "wire format");
_Static_assert(offsetof(struct frame_bytes, crc) == 44, "wire format");
_Static_assert(CKPT_FRAME_BODY_MAX <= UINT32_MAX, "a body's length fits its field");

struct frame_header {
    uint16_t version;
    uint16_t type; /* any number: whether it names a message is the codec's business */
    uint32_t body_bytes;
    uint64_t epoch;
    struct incarnation incarnation;
    uint64_t sequence;
    uint32_t crc; /* set by the decoder; the encoder computes its own */
};

/* Writes the header of *header and body to bytes_out. header->version is written as it is, so that
 * a test can speak as another version.
 *
 * Returns CKPT_OK, or CKPT_ERR_TOO_LARGE when header->body_bytes is above CKPT_FRAME_BODY_MAX. */
enum ckpt_status frame_encode_header(const struct frame_header *header, const void *body,
                                     uint8_t bytes_out[FRAME_HEADER_BYTES]);

/* Whether the first FRAME_VERSION_BYTES of a frame are of this protocol and version.
 *
 * reason_out, here and below, when not NULL, has room for CKPT_REASON_MAX + 1 characters and is set
 * only on failure: one line for a log or for the other side.
 *
 * Returns CKPT_OK, or
 *   CKPT_ERR_PROTOCOL  fewer bytes than that are available, or the magic is not ours
 *   CKPT_ERR_VERSION   the magic is ours, the version is not; frame_version() says which version
 *                      the other side speaks */
enum ckpt_status frame_check_version(const uint8_t *bytes, size_t available, char *reason_out);

/* Reads a header from the first FRAME_HEADER_BYTES of `bytes`. The CRC is not looked at: see
 * frame_check().
 *
 * Returns what frame_check_version() does, or
 *   CKPT_ERR_PROTOCOL   fewer bytes than a header has are available
 *   CKPT_ERR_TOO_LARGE  the body's length is above CKPT_FRAME_BODY_MAX */
enum ckpt_status frame_decode_header(const uint8_t *bytes, size_t available,
                                     struct frame_header *header_out, char *reason_out);

/* The version in the first FRAME_VERSION_BYTES of a frame. */
uint16_t frame_version(const uint8_t bytes[FRAME_VERSION_BYTES]);

/* Decodes the header of a whole frame of exactly `bytes` bytes and compares its CRC.
 *
 * Returns what frame_decode_header() does, or
 *   CKPT_ERR_PROTOCOL  the frame is shorter or longer than its header says
 *   CKPT_ERR_CORRUPT   the CRC differs */
enum ckpt_status frame_check(const uint8_t *frame, size_t bytes, struct frame_header *header_out,
                             char *reason_out);

#endif
