/* SPDX-License-Identifier: Apache-2.0 */
/* The slot record: what a restarted agent knows of the bytes it finds in its arena.
 *
 * A record is ARENA_RECORD_BYTES long, little-endian, of fixed layout (docs/formats.md, "Slot
 * record"), and carries its own CRC-32C. Coding is pure: no allocation, no I/O, any thread. */
#ifndef CKPT_ARENA_RECORD_H
#define CKPT_ARENA_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"
#include "base/limits.h"
#include "base/room.h"
#include <ckpt/status.h>

#define ARENA_RECORD_BYTES 4096
#define ARENA_RECORD_VERSION 3

/* The numbers are part of the format and are never reused. */
enum arena_slot_state {
    ARENA_SLOT_FREE = 0,    /* claims no segment; keeps the generation */
    ARENA_SLOT_FILLING = 1, /* a trainer writes */
    ARENA_SLOT_SEALED = 2,  /* the owner's bytes are complete */
    ARENA_SLOT_PULLING = 3, /* read from a peer, incomplete */
    ARENA_SLOT_HELD = 4,    /* a holder's bytes are complete */
    ARENA_SLOT_DIRTY = 5,   /* freed; its segments are to be zeroed before another user's use */
};

struct arena_record {
    uint32_t slot;
    enum arena_slot_state state;
    uint64_t generation;
    uint32_t uid;
    char run[CKPT_RUN_NAME_MAX + 1]; /* ends in NUL, and is zero after it; empty when FREE */
    uint32_t attempt;                /* 0: an owner's, whose start has no number yet */
    struct nonce seat;               /* an owner's: of the process that wrote it; zero: not known */
    struct nonce name; /* an owner's: of its start, by the launcher; zero: it has none */
    uint32_t insisted; /* an owner's: the attempt that the process insisted on, or 0 */
    uint64_t step;
    uint32_t rank;
    uint32_t world;
    uint32_t copies; /* how many this shard shall have, the owner's counted */
    uint64_t bytes;  /* of the shard */
    bool owner;      /* the local rank wrote it; false: a holder's copy */
    bool has_digest;
    uint8_t digest[CKPT_DIGEST_BYTES]; /* zero when !has_digest */
    uint32_t segment_count;
    uint16_t segments[CKPT_SEGMENTS_PER_SHARD_MAX]; /* in the shard's order; zero after the count */
    struct room_part part; /* that its only id is of; of 0 bytes: its ids are of segments */
};

/* arena_record_encode -- writes *record as the sequence-th form of its slot.
 *
 * RETURN VALUE: CKPT_OK, and all of bytes_out is written.
 * ERRORS: CKPT_ERR_INVALID: an unknown state, a name without its NUL or of characters that names do
 * not have, more segments than CKPT_SEGMENTS_PER_SHARD_MAX, a segment id of CKPT_ARENA_SEGMENTS_MAX
 * or above, one segment twice, a part without its id or an id of a part without its place, more
 * copies than CKPT_COPIES_MAX, a FREE record with segments.
 * Nothing is written then. */
enum ckpt_status arena_record_encode(const struct arena_record *record, uint64_t sequence,
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
enum ckpt_status arena_record_decode(const uint8_t *bytes, size_t n,
                                     struct arena_record *record_out, uint64_t *sequence_out);

/* arena_slot_state_text -- "free", "filling", ...; "unknown" for a number that is no state. */
const char *arena_slot_state_text(enum arena_slot_state state);

#endif
