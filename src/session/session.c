/* SPDX-License-Identifier: Apache-2.0 */
/* What a session says of itself. */
#include "session/session.h"

#include <string.h>
#include <sys/socket.h>

#include "session/address.h"
#include "session/state.h"

bool session_is_looked_up(const struct session *session)
{
    return session->wait.name != NULL;
}

uint32_t session_link(const struct session *session)
{
    return session->link;
}

bool session_is_local(const struct session *session)
{
    return session->is_local;
}

uint32_t session_uid(const struct session *session)
{
    return session->uid;
}

bool session_local_host(const struct session *session, char host_out[CKPT_ADDRESS_MAX + 1])
{
    struct address address = {.bytes = sizeof(address.socket)};
    if (session->is_local || session->fd < 0 ||
        getsockname(session->fd, (struct sockaddr *)&address.socket, &address.bytes) != 0) {
        return false;
    }
    address_text(&address, host_out);
    char *port = strrchr(host_out, ':');
    if (!port) {
        return false;
    }
    *port = '\0';
    return true;
}

const char *session_peer(const struct session *session)
{
    return session->peer;
}

void session_set_group(struct session *session, uint32_t group)
{
    session->group = group;
}

uint32_t session_group(const struct session *session)
{
    return session->group;
}

void session_set_data(struct session *session, void *data)
{
    session->data = data;
}

void *session_data(const struct session *session)
{
    return session->data;
}
