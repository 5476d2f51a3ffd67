/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/act.h"

#include "base/fault_point.h"
#include "base/log.h"
#include "session/session.h"
#include "wire/message_codec.h"

static void complain_unsent(const struct message *message, enum ckpt_status status)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    /* A session that has ended is no news: the machine repeats from its state. */
    if (status == CKPT_ERR_INVALID || status == CKPT_ERR_TOO_LARGE) {
        message_check(message, reason);
        log_event(EVENT_message_unsent, "type=%s status=%s text=%s",
                  message_type_name(message->type), ckpt_status_name(status), LOG_QUOTED(reason));
    }
}

static void send_one(struct daemon *daemon, const struct coordinator_outgoing *outgoing)
{
    const struct message *message = &outgoing->message;
    if (outgoing->link == COORDINATOR_LINK_ALL) {
        complain_unsent(message, session_send_group(daemon->agents, GROUP_JOINED, message));
        return;
    }
    struct session *session = session_find(daemon->agents, outgoing->link);
    if (!session) {
        return;
    }
    if (message->type != MESSAGE_NONE) {
        if (message->type == MESSAGE_WELCOME && message->welcome.status == CKPT_OK) {
            session_set_group(session, GROUP_JOINED);
            session_vouch(session);
        }
        complain_unsent(message, session_send(session, message, NULL, 0));
    }
    if (outgoing->close) {
        session_set_group(session, 0);
        session_close(session);
    }
}

static void send_all(struct daemon *daemon)
{
    const struct coordinator_update *update = &daemon->update;
    /* At the end of the replay nobody can have connected yet. */
    for (uint32_t i = 0; daemon->agents && i < update->message_count; i++) {
        send_one(daemon, &update->messages[i]);
#if CKPT_FAULT_POINTS
        /* Between messages means that the first has left. */
        if (atomic_load_explicit(&fault_points_are_armed, memory_order_relaxed)) {
            session_hub_flush(daemon->agents);
            FAULT_POINT(coordinator_between_messages);
        }
#endif
    }
}

static void tell(struct daemon *daemon)
{
    const struct coordinator_update *update = &daemon->update;
    notes_log(&daemon->notes, update->notes, update->note_count, update->notes_lost, NULL);
}

void act_on_update(struct daemon *daemon)
{
    const struct coordinator_update *update = &daemon->update;
    if (update->step_down) {
        tell(daemon);
        daemon_leave(daemon, EXIT_STALE);
        return;
    }
    send_all(daemon);
    tell(daemon);
}
