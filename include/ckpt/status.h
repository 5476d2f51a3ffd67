/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes of ckptd: what every public and internal function returns. */
#ifndef CKPT_STATUS_H
#define CKPT_STATUS_H

/* Marks what libckpt exports; everything else in it is hidden. */
#if defined(__GNUC__)
#define CKPT_API __attribute__((visibility("default")))
#else
#define CKPT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Codes are grouped by what has to be done again: nothing (the caller's arguments are wrong), wait
 * for room, read other bytes, make another connection, find another agent, take another checkpoint.
 * The numbers are part of the wire format and of the ABI: they are never reused. */
#define CKPT_STATUS_TABLE(X)                                                                       \
    X(CKPT_OK, 0, "ok")                                                                            \
    /* caller: the call is wrong and will be wrong again */                                        \
    X(CKPT_ERR_INVALID, 1, "invalid argument")                                                     \
    X(CKPT_ERR_NAME, 2, "name is empty, too long, or not of A-Z a-z 0-9 . _ / -")                  \
    X(CKPT_ERR_DTYPE, 3, "unknown data type")                                                      \
    X(CKPT_ERR_SIZE, 4, "sizes do not add up")                                                     \
    X(CKPT_ERR_WORLD, 5, "world differs from the run's or from the checkpoint's")                  \
    X(CKPT_ERR_STEP, 6, "step is not after the newest step of the run")                            \
    X(CKPT_ERR_RANK, 7, "rank is outside the world, or another process holds it")                  \
    X(CKPT_ERR_BUSY, 8, "the last save of this rank is still staging")                             \
    X(CKPT_ERR_NOT_FOUND, 9, "not found")                                                          \
    X(CKPT_ERR_DENIED, 10, "belongs to another user")                                              \
    X(CKPT_ERR_VERSION, 11, "the other side speaks another protocol version")                      \
    X(CKPT_ERR_ATTEMPT, 12, "a later attempt of this run has begun")                               \
    X(CKPT_ERR_CONFIG, 13, "configuration is wrong")                                               \
    /* resource: the same call may succeed later */                                                \
    X(CKPT_ERR_MEMORY, 20, "out of memory")                                                        \
    X(CKPT_ERR_FULL, 21, "the arena has no free segments")                                         \
    X(CKPT_ERR_TOO_LARGE, 22, "larger than the arena or a protocol limit")                         \
    X(CKPT_ERR_SYSTEM, 23, "a system call failed")                                                 \
    X(CKPT_ERR_DISK, 24, "the record store failed")                                                \
    X(CKPT_ERR_NO_DOMAIN, 25, "too few failure domains for the number of copies")                  \
    X(CKPT_ERR_UNSUPPORTED, 26, "no device or transport here can do that")                         \
    X(CKPT_ERR_THROTTLED, 27, "the server asks for fewer requests")                                \
    /* bytes: read them from another source */                                                     \
    X(CKPT_ERR_DIGEST, 30, "digests differ")                                                       \
    X(CKPT_ERR_CORRUPT, 31, "a stored record or header is damaged")                                \
    X(CKPT_ERR_STALE, 32, "generation, incarnation or epoch is no longer current")                 \
    /* link: make another connection */                                                            \
    X(CKPT_ERR_LINK, 40, "the connection was lost")                                                \
    X(CKPT_ERR_TIMEOUT, 41, "time-out")                                                            \
    X(CKPT_ERR_PROTOCOL, 42, "the other side sent something that is not the protocol")             \
    /* agent: find another agent, or wait for this one */                                          \
    X(CKPT_ERR_NO_AGENT, 50, "no agent answers")                                                   \
    X(CKPT_ERR_NO_COORDINATOR, 51, "no coordinator answers")                                       \
    /* checkpoint: take another checkpoint */                                                      \
    X(CKPT_ERR_ABORTED, 60, "the checkpoint was aborted")                                          \
    X(CKPT_ERR_NO_CHECKPOINT, 61, "there is no consistent checkpoint to restore")                  \
    X(CKPT_ERR_QUARANTINED, 62, "the checkpoint is quarantined after failed restores")             \
    X(CKPT_ERR_LOST, 63, "no good copy of a shard is reachable")                                   \
    X(CKPT_ERR_RETIRED, 64, "the checkpoint was retired")                                          \
    X(CKPT_ERR_DIVERGED, 65, "ranks differ in state that they said they hold alike")               \
    /* ckptd itself */                                                                             \
    X(CKPT_ERR_INTERNAL, 70, "a defect in ckptd")

enum ckpt_status {
#define CKPT_STATUS_ENUM(name, number, text) name = number,
    CKPT_STATUS_TABLE(CKPT_STATUS_ENUM)
#undef CKPT_STATUS_ENUM
};

/* What the status means, as lower-case text for a person: "the arena has no free segments".
 *
 * RETURN VALUE
 * A string that lives for ever; "unknown status" for a number that is not in the table, as a newer
 * peer may send. Never NULL. Any thread, never blocks. */
CKPT_API const char *ckpt_status_text(enum ckpt_status status);

/* The name of the status as it is written in this header: "CKPT_ERR_FULL".
 *
 * RETURN VALUE
 * A string that lives for ever; "CKPT_ERR_UNKNOWN" for a number that is not in the table. Never
 * NULL. Any thread, never blocks. */
CKPT_API const char *ckpt_status_name(enum ckpt_status status);

#ifdef __cplusplus
}
#endif

#endif
