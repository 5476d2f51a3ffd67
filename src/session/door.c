/* SPDX-License-Identifier: Apache-2.0 */
#include "session/door.h"

void door_enter(struct listener *listener, struct session *session)
{
    session->listener = listener;
    listener->sessions++;
    listener->strangers++;
}

void door_leave(struct session *session)
{
    struct listener *listener = session->listener;
    if (listener) {
        listener->sessions--;
        listener->strangers -= !session->is_known;
        session->listener = NULL;
    }
}

uint32_t door_idle_ms(const struct session *session)
{
    const struct listener *listener = session->listener;
    bool is_stranger = listener && !session->is_known && listener->door.stranger_ms > 0;
    return is_stranger ? listener->door.stranger_ms : session->hub->config.idle_ms;
}
