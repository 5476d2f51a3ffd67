/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to frames and back. message.h is what the other rooms see; control.proto is the format.
 *
 * Both directions check every field against base/limits.h, so that neither a defect here nor a
 * hostile peer there gets a text without an end, a list beyond its bound or an unknown enum value
 * into the machines. What a message asks for is theirs to judge.
 *
 * Everything here is pure: no allocation but from the caller's scratch, no I/O, no state. Any
 * thread, one at a time for each scratch. */
#ifndef CKPT_WIRE_MESSAGE_CODEC_H
#define CKPT_WIRE_MESSAGE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/frame.h"
#include "wire/message.h"

/* Every type, with its name in logs. X: has a body in struct message; EMPTY: has none. A type of
 * enum message_type that is missing here does not compile; one without a layout does not link. */
#define MESSAGE_TYPE_TABLE(X, EMPTY)                                                               \
    X(MESSAGE_RANK_OPEN, rank_open, rank_open)                                                     \
    X(MESSAGE_RANK_OPENED, rank_opened, rank_opened)                                               \
    X(MESSAGE_SLOT_ASK, slot_ask, slot_ask)                                                        \
    X(MESSAGE_SLOT_GRANTED, slot_granted, slot_granted)                                            \
    X(MESSAGE_SEAL, seal, seal)                                                                    \
    X(MESSAGE_ABANDON, abandon, abandon)                                                           \
    X(MESSAGE_SAVE_OUTCOME, save_outcome, save_outcome)                                            \
    X(MESSAGE_LOAD_ASK, load_ask, load_ask)                                                        \
    X(MESSAGE_LOAD_VERDICT, load_verdict, load_verdict)                                            \
    X(MESSAGE_LOADED, loaded, loaded)                                                              \
    X(MESSAGE_RELEASE, release, release)                                                           \
    X(MESSAGE_CHECKPOINT_ASK, checkpoint_ask, checkpoint_ask)                                      \
    X(MESSAGE_CHECKPOINT_INFO, checkpoint_info, checkpoint_info)                                   \
    X(MESSAGE_JOB, job, job)                                                                       \
    X(MESSAGE_JOB_TOLD, job_told, job_told)                                                        \
    X(MESSAGE_GATHER, gather, gather)                                                              \
    X(MESSAGE_GATHERED, gathered, gathered)                                                        \
    X(MESSAGE_RANK_SEATED, rank_seated, rank_seated)                                               \
    X(MESSAGE_PREPARE, prepare, prepare)                                                           \
    X(MESSAGE_JOIN, join, join)                                                                    \
    X(MESSAGE_WELCOME, welcome, welcome)                                                           \
    X(MESSAGE_HEARTBEAT, heartbeat, heartbeat)                                                     \
    X(MESSAGE_LEASE, lease, lease)                                                                 \
    X(MESSAGE_SHARD_REPORT, shard_report, shard_report)                                            \
    X(MESSAGE_SHARD_ACK, shard_ack, shard_ack)                                                     \
    X(MESSAGE_PULL_ORDER, pull_order, pull_order)                                                  \
    X(MESSAGE_PULL_FAILED, pull_failed, pull_failed)                                               \
    X(MESSAGE_VERIFY_ORDER, verify_order, verify_order)                                            \
    X(MESSAGE_CHECKPOINT_STATE, checkpoint_state, checkpoint_state)                                \
    EMPTY(MESSAGE_STALE_EPOCH, stale_epoch)                                                        \
    X(MESSAGE_JOB_REPORT, job_report, job)                                                         \
    X(MESSAGE_JOB_ACK, job_ack, job_ack)                                                           \
    X(MESSAGE_LET_GO, let_go, let_go)                                                              \
    X(MESSAGE_NEED, need, need)                                                                    \
    X(MESSAGE_LOAD_WAITS, load_waits, load_waits)                                                  \
    X(MESSAGE_SEAT_ASK, seat_ask, seat_ask)                                                        \
    X(MESSAGE_SEAT_TOLD, seat_told, seat_told)                                                     \
    EMPTY(MESSAGE_GOODBYE, goodbye)                                                                \
    X(MESSAGE_OFFER_ASK, offer_ask, offer_ask)                                                     \
    X(MESSAGE_OFFER, offer, offer)                                                                 \
    X(MESSAGE_OFFER_DONE, offer_done, offer_done)                                                  \
    X(MESSAGE_OFFER_CLOSED, offer_closed, offer_closed)                                            \
    X(MESSAGE_ADMIN_ASK, admin_ask, admin_ask)                                                     \
    X(MESSAGE_ADMIN_ANSWER, admin_answer, admin_answer)                                            \
    X(MESSAGE_PERSIST_ORDER, persist_order, persist_order)                                         \
    X(MESSAGE_PERSIST_TOLD, persist_told, persist_told)                                            \
    X(MESSAGE_MANIFEST_ORDER, manifest_order, manifest_order)

/* The largest JSON document of an answer: what is left of a frame beside the other fields. */
#define MESSAGE_JSON_MAX (CKPT_FRAME_BODY_MAX - CKPT_KIB)

/* Scratch that is enough to decode any well-formed frame with a body of at most body_bytes: the
 * bytes themselves once more, and the decoder's lists. */
#define MESSAGE_SCRATCH_BYTES(body_bytes) ((size_t)(body_bytes) + 160 * CKPT_KIB)

/* Where a decoded message's lists and bytes live, until the next message_decode() with the same
 * scratch. The memory is the caller's. */
struct message_scratch {
    uint8_t *memory;
    size_t capacity;
    size_t used;
    bool exhausted;
    char reason[CKPT_REASON_MAX + 1]; /* why the last decode failed, for a log */
};

/* memory: of any alignment, alive as long as the scratch. */
void message_scratch_init(struct message_scratch *scratch, void *memory, size_t capacity);

/* The name in logs, "shard_report"; "unknown" for a number that is no type. */
const char *message_type_name(enum message_type type);

/* The longest frame of a type, header included: for buffers. 0 when type is no type. */
size_t message_frame_bytes_max(enum message_type type);

/* Writes the whole frame of *message to buffer, and its length to *bytes_out. Uses about 20 KiB of
 * stack. Bytes of buffer beyond *bytes_out may have been written, on failure too.
 *
 * Returns CKPT_OK, or
 *   CKPT_ERR_INVALID    a field is outside its bounds, or the type is unknown: message_check() says
 *                       which
 *   CKPT_ERR_TOO_LARGE  the frame is longer than capacity, or its body than CKPT_FRAME_BODY_MAX */
enum ckpt_status message_encode(const struct message *message, uint8_t *buffer, size_t capacity,
                                size_t *bytes_out);

/* Whether *message can be encoded into a buffer that is large enough. reason_out, when not NULL,
 * has room for CKPT_REASON_MAX + 1 characters and is set only on failure. Returns what
 * message_encode() does. */
enum ckpt_status message_check(const struct message *message, char *reason_out);

/* Reads one whole frame of exactly `bytes` bytes, as wire_stream_next() gives it. What *message_out
 * points to lives in scratch. Fields that the format knows and the frame lacks are zero; fields
 * that the format does not know are skipped. Of the union only the type's own member is written;
 * its texts are zero after their end.
 *
 * Never reads outside frame, nor writes outside scratch and *message_out, whatever the bytes are.
 *
 * Returns CKPT_OK, or, with scratch->reason set,
 *   CKPT_ERR_PROTOCOL   not a frame, an unknown type, a body that is not of its type, or a field
 *                       outside its bounds
 *   CKPT_ERR_VERSION    the frame is of another protocol version
 *   CKPT_ERR_CORRUPT    the CRC differs
 *   CKPT_ERR_TOO_LARGE  the body is longer than the protocol allows or the scratch holds */
enum ckpt_status message_decode(const uint8_t *frame, size_t bytes, struct message_scratch *scratch,
                                struct message *message_out);

#endif
