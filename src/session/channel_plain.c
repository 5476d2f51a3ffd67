/* SPDX-License-Identifier: Apache-2.0 */
/* The socket itself. On a UNIX socket descriptors ride on the bytes. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session/channel.h"
#include "session/descriptors.h"

static ssize_t plain_read(struct session *session, void *space, size_t room)
{
    /* What does not fit into the control buffer the kernel closes. */
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = space, .iov_len = room};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(session->fd, &message, MSG_CMSG_CLOEXEC);
    if (got >= 0) {
        session_descriptor_keep(session, &message);
    }
    return got;
}

static ssize_t plain_write(struct session *session)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(SESSION_DESCRIPTORS_A_BYTE * sizeof(int))];
    } control;
    struct evbuffer_iovec pieces[8];
    struct iovec parts[8];
    struct msghdr message = {.msg_iov = parts};
    struct rider *rider = session->riders;
    ev_ssize_t limit = -1;
    if (rider && rider->at == session->sent) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(rider->count * sizeof(int));
        memset(&control, 0, sizeof(control));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(rider->count * sizeof(int));
        memcpy(CMSG_DATA(head), rider->descriptors, rider->count * sizeof(int));
        limit = 1;
    } else if (rider) {
        limit = (ev_ssize_t)(rider->at - session->sent);
    }
    int found = evbuffer_peek(session->output, limit, NULL, pieces, 8);
    size_t left = limit < 0 ? SIZE_MAX : (size_t)limit;
    for (int i = 0; i < found && i < 8 && left > 0; i++) {
        parts[i].iov_base = pieces[i].iov_base;
        parts[i].iov_len = pieces[i].iov_len < left ? pieces[i].iov_len : left;
        left -= parts[i].iov_len;
        message.msg_iovlen++;
    }
    ssize_t sent = sendmsg(session->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0 && message.msg_control) {
        session_rider_drop(session);
    }
    return sent;
}

static short plain_want(const struct session *session)
{
    return evbuffer_get_length(session->output) > 0 ? EV_READ | EV_WRITE : EV_READ;
}

static void plain_close(struct session *session)
{
    if (session->fd >= 0) {
        close(session->fd);
        session->fd = -1;
    }
    session_descriptors_close(session);
}

const struct session_channel session_channel_plain = {
    .name = "plain",
    .read = plain_read,
    .write = plain_write,
    .want = plain_want,
    .close = plain_close,
};
