/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's question about a checkpoint, passed on to the coordinator and back. */
#include "agent/query.h"

#include <assert.h>
#include <string.h>

#include "agent/identity.h"
#include "agent/seat.h"
#include "agent/silence.h"
#include "agent/slot.h"
#include "agent/update.h"
#include "base/reason.h"

static struct message_checkpoint_info *add_info(struct agent *a, const struct rank_session *session,
                                                uint64_t reader)
{
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, session->link, MESSAGE_CHECKPOINT_INFO);
    assert(out != NULL);
    out->message.checkpoint_info.reader = reader;
    out->message.checkpoint_info.run = session->run;
    return &out->message.checkpoint_info;
}

static void fill_gone(struct agent *a, struct message_checkpoint_info *info)
{
    info->state = CHECKPOINT_ABORTED;
    info->outcome = CKPT_ERR_ABORTED;
    reason_set(info->reason,
               "node %s has no copy of it any more, and the coordinator knows of none",
               a->config.node);
}

/* What this node knows by itself: whether there is anybody to ask. */
static void answer_here(struct agent *a, const struct rank_session *session,
                        const struct message_checkpoint_ask *ask)
{
    assert(session->open);
    struct message_checkpoint_info *info = add_info(a, session, ask->reader);
    info->step = ask->step;
    info->status =
        agent_coordinator_answers(a, info->reason) ? CKPT_ERR_NOT_FOUND : CKPT_ERR_NO_COORDINATOR;
}

/* A save of a start that has no number yet: what is known of it is here. False: the coordinator
 * knows more. */
static bool answer_staged(struct agent *a, const struct rank_session *session,
                          const struct message_checkpoint_ask *ask)
{
    assert(session->open);
    if (session->reader || session->attempt != 0) {
        return false;
    }
    struct message_checkpoint_info *info = add_info(a, session, ask->reader);
    info->step = ask->step;
    info->status = CKPT_ERR_NOT_FOUND;
    if (agent_seat_staged(a, session->seat, ask->step) == NONE) {
        fill_gone(a, info);
    } else {
        reason_set(info->reason, "staged, until the start is complete");
    }
    return true;
}

/* What nobody else knows of, and whose bytes are not here, never becomes consistent. */
static bool is_gone(const struct agent *a, const struct rank_session *session,
                    const struct message_checkpoint_info *info)
{
    assert(session->query.used);
    struct shard_key shard = {session->run, session->attempt, session->query.step, session->rank};
    return session->query.own && info->status == CKPT_ERR_NOT_FOUND &&
           info->state == CHECKPOINT_NONE && agent_slot_live(a, &shard) == NONE;
}

/* A later question takes the place of the one before it: a process asks one at a time. */
void agent_query_ask(struct agent *a, uint32_t index, const struct message_checkpoint_ask *ask)
{
    struct rank_session *session = &a->sessions[index];
    assert(session->open);
    struct query *query = &session->query;
    if (a->coordinator.state != LINK_JOINED || ask->here) {
        answer_here(a, session, ask);
        query->used = false;
        return;
    }
    if (query->used && query->step == ask->step && query->rank_reader == ask->reader) {
        return;
    }
    if (ask->own && answer_staged(a, session, ask)) {
        query->used = false;
        return;
    }
    memset(query, 0, sizeof(*query));
    query->used = true;
    query->own = ask->own && !session->reader;
    query->step = ask->step;
    query->reader = ++a->reader_last;
    query->rank_reader = ask->reader;
    query->asked_ms = a->now_ms;
    query->due_ms = a->now_ms;
}

void agent_query_info(struct agent *a, const struct message_checkpoint_info *info)
{
    assert(a->coordinator.state == LINK_JOINED);
    if (!agent_text_ends(info->reason, CKPT_REASON_MAX)) {
        return;
    }
    for (uint32_t i = 0; i < a->session_count; i++) {
        struct rank_session *session = &a->sessions[i];
        if (!session->used || !session->query.used || session->query.reader != info->reader ||
            !run_key_equal(&session->run, &info->run)) {
            continue;
        }
        uint64_t reader = session->query.rank_reader;
        struct message_checkpoint_info *told = add_info(a, session, reader);
        *told = *info;
        told->reader = reader;
        if (session->query.own) {
            told->step = session->query.step;
            told->attempt = session->attempt;
        }
        if (is_gone(a, session, info)) {
            fill_gone(a, told);
        }
        session->query.used = false;
        return;
    }
}

static void time_out(struct agent *a, struct rank_session *session)
{
    assert(session->query.used);
    struct message_checkpoint_info *info = add_info(a, session, session->query.rank_reader);
    info->step = session->query.step;
    info->status = CKPT_ERR_NO_COORDINATOR;
    if (agent_coordinator_answers(a, info->reason)) {
        info->status = CKPT_ERR_TIMEOUT;
        reason_set(info->reason, "the coordinator has not answered node %s in %u ms",
                   a->config.node, a->config.load_timeout_ms);
    }
    session->query.used = false;
}

void agent_queries_pump(struct agent *a)
{
    for (uint32_t i = 0; i < a->session_count; i++) {
        struct rank_session *session = &a->sessions[i];
        struct query *query = &session->query;
        if (!session->used || !query->used) {
            continue;
        }
        uint64_t ends_ms = query->asked_ms + a->config.load_timeout_ms;
        bool asks = a->coordinator.state == LINK_JOINED && query->due_ms <= a->now_ms;
        if ((ends_ms <= a->now_ms || asks) && !agent_update_has_room(a)) {
            return;
        }
        if (ends_ms <= a->now_ms) {
            time_out(a, session);
            continue;
        }
        if (asks) {
            struct agent_outgoing *out =
                agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_CHECKPOINT_ASK);
            assert(out != NULL);
            out->message.checkpoint_ask.run = session->run;
            out->message.checkpoint_ask.step = query->step;
            out->message.checkpoint_ask.reader = query->reader;
            out->message.checkpoint_ask.attempt = query->own ? session->attempt : 0;
            query->due_ms = a->now_ms + a->config.resend_ms;
        }
        agent_update_deadline(a, ends_ms);
        if (a->coordinator.state == LINK_JOINED) {
            agent_update_deadline(a, query->due_ms);
        }
    }
}
