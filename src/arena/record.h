/* SPDX-License-Identifier: Apache-2.0 */
/* The slot record: what a restarted agent knows of the bytes it finds in its arena.
 *
 * A record is ARENA_RECORD_BYTES long, little-endian, of fixed layout (docs/formats.md, "Slot
 * record"), and carries its own CRC-32C. Coding is pure: no allocation, no I/O, any thread.
 *
 *   the agent's state     stored
 *   FREE, FILLING         so
 *   SEALED                sealed
 *   VERIFIED, ADOPTED     sealed (an owner's) or pulled
 *   of a cached copy      pulling: nobody needs it after a restart
 *   PULLING, DIRTY        so
 *
 * What was sealed and has a digest, or was pulled, comes back as VERIFIED: the agent adopts it. */
#ifndef CKPT_ARENA_RECORD_H
#define CKPT_ARENA_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "agent/slot_record.h"
#include <ckpt/status.h>

#define ARENA_RECORD_BYTES 4096
#define ARENA_RECORD_VERSION 4

/* arena_record_encode -- writes *record as the sequence-th form of its slot.
 *
 * RETURN VALUE: CKPT_OK, and all of bytes_out is written.
 * ERRORS: CKPT_ERR_INVALID: an unknown state, a name without its NUL or of characters that names do
 * not have, more segments than CKPT_SEGMENTS_PER_SHARD_MAX, a segment id of CKPT_ARENA_SEGMENTS_MAX
 * or above, one segment twice, a part without its id or an id of a part without its place, more
 * copies than CKPT_COPIES_MAX, a FREE record with segments.
 * Nothing is written then. */
enum ckpt_status arena_record_encode(const struct slot_record *record, uint64_t sequence,
                                     uint8_t bytes_out[ARENA_RECORD_BYTES]);

/* arena_record_decode -- reads a record from n untrusted bytes.
 *
 * What it accepts is canonical: encoding *record_out with *sequence_out gives the same bytes.
 * sequence_out may be NULL.
 *
 * RETURN VALUE: CKPT_OK, and the outputs are set.
 * ERRORS, outputs untouched:
 *   CKPT_ERR_NOT_FOUND  all bytes are zero: never written
 *   CKPT_ERR_VERSION    a whole record of a format this build does not read
 *   CKPT_ERR_CORRUPT    n is not ARENA_RECORD_BYTES, the checksum differs, or a field is out of
 *                       its range */
enum ckpt_status arena_record_decode(const uint8_t *bytes, size_t n, struct slot_record *record_out,
                                     uint64_t *sequence_out);

#endif
