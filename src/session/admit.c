/* SPDX-License-Identifier: Apache-2.0 */
/* Who may come in: shares of a listener's connections, and an end for those that stay strangers. */
#include "session/admit.h"

#include <unistd.h>

#include "session/life.h"

static bool is_trusted(uint32_t uid)
{
    return uid == 0 || uid == geteuid();
}

static uint32_t count_of_user(const struct listener *listener, uint32_t uid)
{
    uint32_t count = 0;
    for (const struct session *s = listener->hub->sessions; s; s = s->next) {
        count += s->listener == listener && s->uid == uid;
    }
    return count;
}

/* Of those that nobody vouched for, the one that was accepted first. */
static struct session *oldest_stranger(const struct listener *listener)
{
    struct session *oldest = NULL;
    for (struct session *s = listener->hub->sessions; s; s = s->next) {
        if (s->listener == listener && !s->is_known) {
            oldest = s; /* the newest come first */
        }
    }
    return oldest;
}

static bool evict_stranger(const struct listener *listener)
{
    struct session *oldest = oldest_stranger(listener);
    if (oldest) {
        session_end(oldest, CKPT_ERR_FULL, "others came, and it had not said who it is");
    }
    return oldest != NULL;
}

bool door_admits(struct listener *listener, bool is_local, uint32_t uid)
{
    const struct session_door *door = &listener->door;
    uint32_t max = door->sessions_max;
    if (is_local && !is_trusted(uid)) {
        if (door->a_user_max > 0 && count_of_user(listener, uid) >= door->a_user_max) {
            return false;
        }
        if (max > 0 && listener->sessions + door->kept >= max) {
            return false;
        }
    }
    if (door->strangers_max > 0 && listener->strangers >= door->strangers_max) {
        evict_stranger(listener);
    }
    return max == 0 || listener->sessions < max || evict_stranger(listener);
}

void session_vouch(struct session *session)
{
    if (session->is_known) {
        return;
    }
    if (session->listener) {
        session->listener->strangers--;
    }
    session->is_known = true;
    if (session->state == SESSION_OPEN && !session->is_held) {
        event_remove_timer(session->read_event);
        session_listen_for_words(session);
    }
}
