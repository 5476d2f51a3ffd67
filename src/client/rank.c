/* SPDX-License-Identifier: Apache-2.0 */
/* Being a rank of the agent: connect, open, ask and hear, again after a loss. */
#include "client/rank.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/context.h"
#include "base/reason.h"
#include "client/saves.h"
#include "client/tier_word.h"

/* How long a rank waits that the agent notices the end of its own earlier connection: ever longer,
 * for it may be another process that has its place. */
#define REOPEN_PAUSE_MS_MIN 20
#define REOPEN_PAUSE_MS_MAX 1000

/* How long the agent is waited for that is asked why nothing came. */
#define LOOK_MS 20

/* Messages that a look without waiting takes at most. */
#define MESSAGES_WHEN_LATE 256

static bool is_nothing(const struct message *message, const void *asked)
{
    (void)message;
    (void)asked;
    return false;
}

static bool is_opened(const struct message *message, const void *asked)
{
    (void)asked;
    return message->type == MESSAGE_RANK_OPENED;
}

/* The rank is the agent's no more when the connection is gone. */
static enum ckpt_status after_link(struct ckpt *ckpt, enum ckpt_status status)
{
    if (!agent_link_is_up(&ckpt->link)) {
        ckpt->state = RANK_CLOSED;
    }
    return status == CKPT_ERR_LINK ? CKPT_ERR_NO_AGENT : status;
}

enum ckpt_status client_send(struct ckpt *ckpt, struct message *message, struct deadline deadline)
{
    return after_link(ckpt, agent_link_send(&ckpt->link, message, deadline, ckpt->reason));
}

enum ckpt_status client_send_with(struct ckpt *ckpt, struct message *message, int descriptor,
                                  struct deadline deadline)
{
    return after_link(
        ckpt, agent_link_send_with(&ckpt->link, message, descriptor, deadline, ckpt->reason));
}

static void hang_up(struct ckpt *ckpt)
{
    agent_link_close(&ckpt->link);
    ckpt->state = RANK_CLOSED;
}

enum ckpt_status client_break(struct ckpt *ckpt, const char *what)
{
    hang_up(ckpt);
    return reason_refuse(ckpt->reason, CKPT_ERR_PROTOCOL,
                         "the agent at %s broke the protocol: %s; is ckptd of the same release?",
                         ckpt->socket, what);
}

/* Sends what must be heard; the reason of the call stays. */
static void tell(struct ckpt *ckpt, struct message *message)
{
    char reason[CKPT_REASON_MAX + 1];
    if (agent_link_is_up(&ckpt->link) &&
        agent_link_send(&ckpt->link, message, deadline_after_ms(0), reason) != CKPT_OK) {
        hang_up(ckpt);
    }
}

void client_abandon(struct ckpt *ckpt, uint64_t step, uint32_t slot, uint64_t generation)
{
    struct message message = {.type = MESSAGE_ABANDON};
    message.abandon =
        (struct message_abandon){.step = step, .slot = slot, .generation = generation};
    tell(ckpt, &message);
}

void client_release(struct ckpt *ckpt, uint32_t slot, uint64_t generation)
{
    struct message message = {.type = MESSAGE_RELEASE};
    message.release = (struct message_release){.slot = slot, .generation = generation};
    tell(ckpt, &message);
}

bool client_segments_fit(const struct ckpt *ckpt, uint64_t bytes, uint32_t segment_count,
                         uint64_t part_bytes)
{
    if (part_bytes > 0) {
        return segment_count == 1 && bytes <= part_bytes && part_bytes < ckpt->segment_bytes;
    }
    return segment_count > 0 && segment_count <= CKPT_SEGMENTS_PER_SHARD_MAX &&
           bytes <= segment_count * ckpt->segment_bytes &&
           bytes > (segment_count - 1) * ckpt->segment_bytes;
}

/* What nobody waits for. */
static enum ckpt_status take_other(struct ckpt *ckpt, const struct message *message)
{
    if (message->type == MESSAGE_SLOT_GRANTED) {
        const struct message_slot_granted *granted = &message->slot_granted;
        if (granted->status == CKPT_OK) {
            client_abandon(ckpt, granted->step, granted->slot, granted->generation);
            ckpt->abandoned++;
        }
    } else if (message->type == MESSAGE_LOADED) {
        if (message->loaded.status == CKPT_OK) {
            client_release(ckpt, message->loaded.slot, message->loaded.generation);
        }
    } else if (message->type != MESSAGE_SAVE_OUTCOME && message->type != MESSAGE_RANK_OPENED &&
               message->type != MESSAGE_CHECKPOINT_INFO && message->type != MESSAGE_GATHERED &&
               message->type != MESSAGE_RANK_SEATED && message->type != MESSAGE_PREPARE) {
        return client_break(ckpt, "a message that no agent sends to a rank");
    }
    return CKPT_OK;
}

enum ckpt_status client_await(struct ckpt *ckpt, client_is_answer *is_answer, const void *asked,
                              struct deadline deadline, struct message *message_out)
{
    for (uint32_t taken = 0; taken < MESSAGES_WHEN_LATE || deadline_left_ms(deadline) > 0;
         taken++) {
        struct message message;
        enum ckpt_status status =
            after_link(ckpt, agent_link_receive(&ckpt->link, deadline, &message, ckpt->reason));
        if (status != CKPT_OK) {
            return status;
        }
        if (message.type == MESSAGE_SAVE_OUTCOME) {
            client_saves_end(ckpt, message.save_outcome.step, message.save_outcome.status,
                             message.save_outcome.reason);
        }
        if (message.type == MESSAGE_CHECKPOINT_INFO) {
            client_tier_hear(ckpt, &message.checkpoint_info);
        }
        if (message.type == MESSAGE_RANK_SEATED && message.rank_seated.status == CKPT_OK) {
            ckpt->attempt = message.rank_seated.attempt;
            ckpt->start = message.rank_seated.start;
        }
        if (is_answer(&message, asked)) {
            *message_out = message;
            return CKPT_OK;
        }
        status = take_other(ckpt, &message);
        if (status != CKPT_OK) {
            return status;
        }
    }
    return reason_refuse(ckpt->reason, CKPT_ERR_TIMEOUT, "no answer from the agent in time");
}

static bool is_told_here(const struct message *message, const void *question)
{
    return message->type == MESSAGE_CHECKPOINT_INFO &&
           message->checkpoint_info.reader == *(const uint64_t *)question;
}

/* Whether the agent says that it has no coordinator: its reason is in message_out then. */
static bool has_no_coordinator(struct ckpt *ckpt, struct message *message_out)
{
    struct deadline deadline = deadline_after_ms(LOOK_MS);
    uint64_t question = ++ckpt->questions;
    struct message message = {.type = MESSAGE_CHECKPOINT_ASK};
    message.checkpoint_ask.step = CKPT_STEP_LATEST;
    message.checkpoint_ask.reader = question;
    message.checkpoint_ask.here = true;
    return ckpt->state == RANK_OPEN && client_send(ckpt, &message, deadline) == CKPT_OK &&
           client_await(ckpt, is_told_here, &question, deadline, message_out) == CKPT_OK &&
           message_out->checkpoint_info.status == CKPT_ERR_NO_COORDINATOR;
}

enum ckpt_status client_timed_out(struct ckpt *ckpt, const char *format, ...)
{
    struct message message;
    char reason[CKPT_REASON_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    if (has_no_coordinator(ckpt, &message)) {
        return reason_refuse(ckpt->reason, CKPT_ERR_NO_COORDINATOR, "%s",
                             message.checkpoint_info.reason);
    }
    return reason_refuse(ckpt->reason, CKPT_ERR_TIMEOUT, "%s", reason);
}

enum ckpt_status client_refused(struct ckpt *ckpt, const char *what, enum ckpt_status status,
                                const char *reason)
{
    return reason_refuse(ckpt->reason, status, "%s: %s", what,
                         reason[0] != '\0' ? reason : ckpt_status_text(status));
}

static enum ckpt_status begin_open(struct ckpt *ckpt, struct deadline deadline)
{
    enum ckpt_status status =
        after_link(ckpt, agent_link_connect(&ckpt->link, ckpt->socket, deadline, ckpt->reason));
    if (status != CKPT_OK) {
        return status;
    }
    struct message message = {.type = MESSAGE_RANK_OPEN};
    memcpy(message.rank_open.run, ckpt->run, sizeof(ckpt->run));
    message.rank_open.attempt = ckpt->attempt != 0 ? ckpt->attempt : ckpt->insisted;
    message.rank_open.start = ckpt->start;
    message.rank_open.seat = ckpt->seat;
    message.rank_open.name = ckpt->name;
    message.rank_open.rank = ckpt->rank;
    message.rank_open.world = ckpt->world;
    message.rank_open.copies = ckpt->copies;
    message.rank_open.reader = ckpt->reader;
    message.rank_open.takes_parts = true;
    status = client_send(ckpt, &message, deadline);
    if (status == CKPT_OK) {
        ckpt->state = RANK_OPENING;
    } else {
        agent_link_close(&ckpt->link);
    }
    return status;
}

static enum ckpt_status end_open(struct ckpt *ckpt, struct deadline deadline)
{
    struct message message;
    enum ckpt_status status = client_await(ckpt, is_opened, NULL, deadline, &message);
    if (status == CKPT_ERR_TIMEOUT) {
        return reason_refuse(ckpt->reason, CKPT_ERR_NO_AGENT,
                             "the agent at %s took the connection and does not answer: is it "
                             "stopped or overloaded?",
                             ckpt->socket);
    }
    if (status != CKPT_OK) {
        return status;
    }
    const struct message_rank_opened *opened = &message.rank_opened;
    if (opened->status != CKPT_OK) {
        hang_up(ckpt);
        return client_refused(ckpt, "the agent refused this rank", opened->status, opened->reason);
    }
    if (opened->segment_bytes == 0 || opened->segment_bytes % CKPT_SEGMENT_BYTES_MIN != 0 ||
        opened->segment_bytes > CLIENT_SEGMENT_BYTES_MAX) {
        return client_break(ckpt, "a size of segments that none can have");
    }
    ckpt->segment_bytes = opened->segment_bytes;
    ckpt->prepares = opened->prepares;
    ckpt->last_bytes = opened->last_bytes;
    ckpt->state = RANK_OPEN;
    ckpt->was_open = true;
    return CKPT_OK;
}

enum ckpt_status client_rank_ensure(struct ckpt *ckpt, struct deadline deadline)
{
    if (ckpt->state == RANK_OPEN) {
        /* Takes what came since the last call, and finds out when the agent has gone meanwhile. */
        struct message none;
        (void)client_await(ckpt, is_nothing, NULL, deadline_after_ms(0), &none);
        ckpt->reason[0] = '\0';
    }
    for (int pause_ms = REOPEN_PAUSE_MS_MIN;; pause_ms *= 2) {
        enum ckpt_status status = CKPT_OK;
        if (ckpt->state == RANK_CLOSED) {
            status = begin_open(ckpt, deadline);
        }
        if (status == CKPT_OK && ckpt->state == RANK_OPENING) {
            status = end_open(ckpt, deadline);
        }
        /* The agent may hear of the new connection before it hears that the old one is over. */
        if (status != CKPT_ERR_RANK || !ckpt->was_open || deadline_left_ms(deadline) == 0) {
            return status == CKPT_ERR_TIMEOUT ? CKPT_ERR_NO_AGENT : status;
        }
        pause_ms = pause_ms < REOPEN_PAUSE_MS_MAX ? pause_ms : REOPEN_PAUSE_MS_MAX;
        int left_ms = deadline_left_ms(deadline);
        (void)poll(NULL, 0, left_ms < pause_ms ? left_ms : pause_ms);
    }
}
