/* SPDX-License-Identifier: Apache-2.0 */
/* The connection between a client and a source: what they agree on before bytes are read, and how
 * each notices that the other is gone. A message is a JSON object on a line of its own.
 *
 *   client: {"ckptbench": 2, "version": "0.1.0", "transport": "ucx:tcp", "devices": "lo" or null,
 *            "bytes": 1073741824, "segment_bytes": 67108864, "spin": false, "gpu": 0 or null}
 *   source: {"ckptbench": 2, "version": "0.1.0", "transport": "ucx:tcp", "address": "6f1c...",
 *            "segments": 16, "environment": {...}, "gpu": its model or null}, then
 *            {"region": "77aa..."} for each segment
 *   client: {"ask": "cpu", "reading": true}
 *   source: {"cpu_ns": 12345}, as often as it is asked
 *   either: {"tick": 1} every second, from a thread of its own; {"error": "...", "status": 13}, its
 *           last message
 *
 * Whoever hears nothing for CONTROL_SILENCE_MS, not even a tick, takes the other for dead. What
 * comes is input: lines are bounded, and anything that is not expected ends the connection. */
#ifndef CKPTBENCH_CONTROL_H
#define CKPTBENCH_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/limits.h"
#include <ckpt/status.h>

#define CONTROL_VERSION 2
#define CONTROL_PORT "7479"
#define CONTROL_SILENCE_MS 6000
#define CONTROL_LINE_MAX 32768

struct control;

/* Takes a connected stream socket over, also when it fails, and starts to tick. NULL: no memory or
 * no thread. By any thread; afterwards one thread receives and sends. */
struct control *control_open(int fd);

/* Closes it. Accepts NULL in it. */
void control_close(struct control **control);

/* Sends a message and releases it; NULL stands for one that there was no memory for.
 * RETURN VALUE CKPT_ERR_LINK (the other is gone), CKPT_ERR_MEMORY. */
enum ckpt_status control_send(struct control *control, json_t *message);

/* Sends an error, which ends the session. */
void control_refuse(struct control *control, enum ckpt_status status, const char *text);

/* Takes the next message that is no tick, waiting until the other has been silent for too long. The
 * message is the caller's to json_decref.
 *
 * RETURN VALUE
 *   CKPT_ERR_LINK      the other has closed, or was ended
 *   CKPT_ERR_TIMEOUT   it is silent, or out of reach
 *   CKPT_ERR_PROTOCOL  what came is not a message
 *   or the status of an error that the other sent; reason (CKPT_REASON_MAX + 1 bytes) has its
 *   words. */
enum ckpt_status control_receive(struct control *control, json_t **message_out, char *reason);

/* Takes what has come without waiting. *message_out is NULL when there is none. */
enum ckpt_status control_poll(struct control *control, json_t **message_out, char *reason);

int control_fd(const struct control *control);

/* Bytes as they stand in messages. control_unhex: the number of bytes, 0 when it is not hex or does
 * not fit. */
json_t *control_hex(const uint8_t *bytes, size_t count);
size_t control_unhex(const json_t *text, uint8_t *bytes_out, size_t size);

#endif
