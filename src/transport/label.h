/* SPDX-License-Identifier: Apache-2.0 */
/* The common frame of region descriptors and transport addresses, as bytes. Pure. */
#ifndef CKPT_TRANSPORT_LABEL_H
#define CKPT_TRANSPORT_LABEL_H

#include <stddef.h>
#include <stdint.h>

#include <ckpt/status.h>

#define LABEL_HEADER_BYTES 48
#define LABEL_VERSION 1

enum label_kind { LABEL_REGION = 1, LABEL_ADDRESS = 2 };

/* Numbers on the wire: never reused. */
enum label_backend { LABEL_LOOP = 1, LABEL_UCX = 2, LABEL_VERBS = 3 };

/* Little-endian on the wire, in this order: magic u32, version u16, kind u8, backend u8, transport
 * u64, region u64, generation u64, bytes u64, payload_bytes u32, CRC-32C u32 of all other bytes,
 * payload. */
struct label {
    enum label_kind kind;
    enum label_backend backend;
    uint64_t transport;     /* identity of the transport object that made it */
    uint64_t region;        /* 0 in an address */
    uint64_t generation;    /* 0 in an address */
    uint64_t bytes;         /* of the region; 0 in an address */
    const uint8_t *payload; /* the backend's own; points into the decoded bytes */
    size_t payload_bytes;
};

/* RETURN VALUE
 *   CKPT_ERR_TOO_LARGE   it does not fit out_max. */
enum ckpt_status label_encode(const struct label *label, uint8_t *out, size_t out_max,
                              size_t *bytes_out);

/* Never reads outside bytes. label_out->payload lives as long as bytes.
 * RETURN VALUE
 *   CKPT_ERR_PROTOCOL   truncated, trailing bytes, damaged, or not of this kind and backend.
 *   CKPT_ERR_VERSION    of another version of the format. */
enum ckpt_status label_decode(const uint8_t *bytes, size_t count, enum label_kind kind,
                              enum label_backend backend, struct label *label_out);

#endif
