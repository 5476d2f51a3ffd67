/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the talk with the agent. */
#ifndef CKPT_CLIENT_RANK_H
#define CKPT_CLIENT_RANK_H

#include "client/context.h"

/* Makes sure that the context is a rank of the agent: connects and opens when it is not.
 * What ckpt_open lists, CKPT_ERR_NO_AGENT when there is no answer in time. */
enum ckpt_status client_rank_ensure(struct ckpt *ckpt, struct deadline deadline);

/* Sends; a lost connection becomes CKPT_ERR_NO_AGENT. */
enum ckpt_status client_send(struct ckpt *ckpt, struct message *message, struct deadline deadline);

/* The same with a descriptor, which stays the caller's. */
enum ckpt_status client_send_with(struct ckpt *ckpt, struct message *message, int descriptor,
                                  struct deadline deadline);

/* Receives messages, notes outcomes and gives back what came too late, until one is the answer to
 * what is asked. CKPT_ERR_TIMEOUT; CKPT_ERR_NO_AGENT when the connection is lost. */
typedef bool client_is_answer(const struct message *message, const void *asked);
enum ckpt_status client_await(struct ckpt *ckpt, client_is_answer *is_answer, const void *asked,
                              struct deadline deadline, struct message *message_out);

/* What was waited for has not come in time, and why that may be: CKPT_ERR_TIMEOUT with that reason;
 * or CKPT_ERR_NO_COORDINATOR, when that is why, as the agent says, which is asked. */
__attribute__((format(printf, 2, 3))) enum ckpt_status client_timed_out(struct ckpt *ckpt,
                                                                        const char *format, ...);

/* Ends the connection to an agent that breaks the protocol; `what` says how. Returns
 * CKPT_ERR_PROTOCOL. */
enum ckpt_status client_break(struct ckpt *ckpt, const char *what);

/* Gives a slot or a shard back. When that cannot be said the connection ends, which says it too. */
void client_abandon(struct ckpt *ckpt, uint64_t step, uint32_t slot, uint64_t generation);
void client_release(struct ckpt *ckpt, uint32_t slot, uint64_t generation);

/* Whether so many segments of this agent, or a part of one, hold a shard of so many bytes. */
bool client_segments_fit(const struct ckpt *ckpt, uint64_t bytes, uint32_t segment_count,
                         uint64_t part_bytes);

/* The reason that the agent gave, or the status' text; returns status. */
enum ckpt_status client_refused(struct ckpt *ckpt, const char *what, enum ckpt_status status,
                                const char *reason);

#endif
