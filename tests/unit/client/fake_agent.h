/* SPDX-License-Identifier: Apache-2.0 */
/* An agent that says what a test's script tells it to: a thread that listens at a UNIX socket of
 * its own and runs the script once for each connection, in order. What a script finds wrong is kept
 * and fails the test in fake_agent_stop, as cmocka's asserts are for the main thread only. */
#ifndef CKPT_TESTS_CLIENT_FAKE_AGENT_H
#define CKPT_TESTS_CLIENT_FAKE_AGENT_H

#include <stdbool.h>
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

/* For scripts. After false the script should return. */

/* The next message; false when the rank has gone, or when it is of another type than wanted, which
 * is then an error of the test. */
bool fake_take(struct fake_agent *agent, enum message_type wanted, struct message *message_out);

/* True when the rank closes its end before it says anything more. */
bool fake_take_end(struct fake_agent *agent);

/* Sends *message, numbered, with descriptors as ckptd does. */
void fake_send(struct fake_agent *agent, struct message *message, const int *fds, uint32_t count);
void fake_send_bytes(struct fake_agent *agent, const void *bytes, size_t count);

/* Takes RANK_OPEN and says yes. */
bool fake_open_rank(struct fake_agent *agent);

/* Takes SLOT_ASK and grants `count` segments from number `first` on. */
bool fake_grant(struct fake_agent *agent, uint32_t first, uint32_t count, uint64_t generation,
                struct message_slot_ask *ask_out);

void fake_outcome(struct fake_agent *agent, uint64_t step, enum ckpt_status status,
                  const char *reason);

/* Takes LOAD_ASK and hands out the `bytes` bytes of segment `first`, on. */
bool fake_load(struct fake_agent *agent, uint32_t first, uint64_t step, uint64_t bytes,
               struct message_load_ask *ask_out);

/* The descriptor of a segment, and a new file in its place. */
int fake_segment(struct fake_agent *agent, uint32_t segment);
void fake_segment_renew(struct fake_agent *agent, uint32_t segment);

/* Reads bytes of a segment into buffer. */
void fake_segment_read(struct fake_agent *agent, uint32_t segment, uint64_t offset, void *buffer,
                       uint64_t bytes);

/* Notes that something is wrong. */
void fake_wrong(struct fake_agent *agent, const char *what);

/* The sequence and the incarnation that the next frames have: for hostile scripts. */
void fake_set_sequence(struct fake_agent *agent, uint64_t sequence);

/* How many descriptors this process has open. */
uint32_t open_descriptors(void);

#endif
