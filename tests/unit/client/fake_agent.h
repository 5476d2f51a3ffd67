/* SPDX-License-Identifier: Apache-2.0 */
/* An agent that says what a test's script tells it to: a thread that listens at a UNIX socket of
 * its own and runs the script once for each connection, in order. What a script finds wrong is kept
 * and fails the test in fake_agent_stop, as cmocka's asserts are for the main thread only. */
#ifndef CKPT_TESTS_CLIENT_FAKE_AGENT_H
#define CKPT_TESTS_CLIENT_FAKE_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ckpt/ckpt.h>

#include "wire/message.h"

#define FAKE_SEGMENT_BYTES CKPT_SEGMENT_BYTES_MIN
#define FAKE_SEGMENTS 8

struct fake_agent;
typedef void fake_script(struct fake_agent *agent, uint32_t connection);

/* Begins to listen. */
struct fake_agent *fake_agent_start(fake_script *script);

/* Waits for the thread, which ends when `connections` have been served or at once for 0, and fails
 * the test when a script found something wrong. */
void fake_agent_stop(struct fake_agent **agent);

const char *fake_agent_path(const struct fake_agent *agent);

/* Options of rank 1 of 4 at this agent, with a time-out that a fake agent always keeps. */
struct ckpt_options fake_options(const struct fake_agent *agent);

/* A context of these options; the test fails when it cannot be opened. */
struct ckpt *fake_connect(const struct fake_agent *agent);

/* For scripts. After false the script should return. */

/* The next message; it is an error of the test when the rank has gone, or when the message is of
 * another type than wanted: false. */
bool fake_take(struct fake_agent *agent, enum message_type wanted, struct message *message_out);

/* The next message, of any type; false when the rank has gone, which is no error. */
bool fake_take_next(struct fake_agent *agent, struct message *message_out);

/* The descriptor that the rank passed, which is the caller's now; -1: none since the last. */
int fake_descriptor(struct fake_agent *agent);

/* True when the rank closes its end before it says anything more. */
bool fake_take_end(struct fake_agent *agent);

/* Sends *message, numbered, with descriptors as ckptd does. */
void fake_send(struct fake_agent *agent, struct message *message, const int *fds, uint32_t count);
void fake_send_bytes(struct fake_agent *agent, const void *bytes, size_t count);

/* Takes RANK_OPEN and says yes. */
bool fake_open_rank(struct fake_agent *agent);

/* The same as an agent that prepares, and holds a shard of that rank unless last_bytes is 0. */
bool fake_open_preparing(struct fake_agent *agent, uint64_t last_bytes);

/* Answers a SLOT_ASK: CKPT_OK grants `count` segments from number `first` on. */
void fake_answer_ask(struct fake_agent *agent, const struct message_slot_ask *ask,
                     enum ckpt_status status, uint32_t first, uint32_t count, uint64_t generation);

/* Takes SLOT_ASK and grants `count` segments from number `first` on. */
bool fake_grant(struct fake_agent *agent, uint32_t first, uint32_t count, uint64_t generation,
                struct message_slot_ask *ask_out);

void fake_outcome(struct fake_agent *agent, uint64_t step, enum ckpt_status status,
                  const char *reason);

/* The answer to *ask that fake_load gives, for a script to change and send. */
struct message fake_loaded(const struct message_load_ask *ask, uint32_t first, uint64_t step,
                           uint64_t bytes);

/* Sends it with the descriptors of `count` segments from `first` on, read-only. */
void fake_send_loaded(struct fake_agent *agent, struct message *answer, uint32_t first,
                      uint32_t count);

/* Takes LOAD_ASK and hands out the `bytes` bytes of segment `first`, on. */
bool fake_load(struct fake_agent *agent, uint32_t first, uint64_t step, uint64_t bytes,
               struct message_load_ask *ask_out);

/* The descriptor of a segment, and a new file in its place. */
int fake_segment(struct fake_agent *agent, uint32_t segment);
void fake_segment_renew(struct fake_agent *agent, uint32_t segment);

/* Reads bytes of a segment into buffer. */
void fake_segment_read(struct fake_agent *agent, uint32_t segment, uint64_t offset, void *buffer,
                       uint64_t bytes);

/* Puts bytes into a segment. */
void fake_segment_write(struct fake_agent *agent, uint32_t segment, uint64_t offset,
                        const void *bytes, uint64_t count);

/* Notes that something is wrong. */
void fake_wrong(struct fake_agent *agent, const char *what);

/* From now on it says so when it is asked why nothing came. */
void fake_has_no_coordinator(struct fake_agent *agent);

/* The sequence and the incarnation that the next frames have: for hostile scripts. */
void fake_set_sequence(struct fake_agent *agent, uint64_t sequence);

/* How many descriptors this process has open, and how many of its mappings are segments. */
uint32_t open_descriptors(void);
uint32_t mapped_segments(void);

/* Fails the test unless *object still has the pattern that a test filled it with. */
#define FAKE_PATTERN 0x5a
#define fake_fill(object) memset((object), FAKE_PATTERN, sizeof(*(object)))
#define fake_assert_untouched(object) fake_check_untouched((object), sizeof(*(object)), __LINE__)
void fake_check_untouched(const void *object, size_t bytes, int line);

#endif
