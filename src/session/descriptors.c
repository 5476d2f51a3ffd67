/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors on a UNIX socket: those that ride on frames we send, and the one that may come. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session/hub.h"

static void close_all(const int *descriptors, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        close(descriptors[i]);
    }
}

bool session_riders_add(struct session *session, const int *descriptors, uint32_t count)
{
    for (uint32_t done = 0, byte = 0; done < count; byte++) {
        uint32_t some =
            count - done < SESSION_DESCRIPTORS_A_BYTE ? count - done : SESSION_DESCRIPTORS_A_BYTE;
        struct rider *rider = malloc(sizeof(*rider) + some * sizeof(int));
        if (!rider) {
            /* Those that ride already are closed with the session. */
            close_all(descriptors + done, count - done);
            return false;
        }
        rider->next = NULL;
        rider->at = session->queued + byte;
        rider->count = some;
        memcpy(rider->descriptors, descriptors + done, some * sizeof(int));
        if (session->last_rider) {
            session->last_rider->next = rider;
        } else {
            session->riders = rider;
        }
        session->last_rider = rider;
        done += some;
    }
    return true;
}

static void drop_first_rider(struct session *session)
{
    struct rider *rider = session->riders;
    session->riders = rider->next;
    session->last_rider = rider->next ? session->last_rider : NULL;
    close_all(rider->descriptors, rider->count);
    free(rider);
}

void session_descriptors_close(struct session *session)
{
    while (session->riders) {
        drop_first_rider(session);
    }
    int arrived = session_take_descriptor(session);
    if (arrived >= 0) {
        close(arrived);
    }
}

ssize_t session_send_some(struct session *session)
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
        drop_first_rider(session);
    }
    return sent;
}

/* Keeps the last of those that came. */
static void keep_last(struct session *session, struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int before = session_take_descriptor(session);
            if (before >= 0) {
                close(before);
            }
            memcpy(&session->arrived, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        }
    }
}

ssize_t session_receive_some(struct session *session, void *space, size_t room)
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
        keep_last(session, &message);
    }
    return got;
}

int session_take_descriptor(struct session *session)
{
    int arrived = session->arrived;
    session->arrived = -1;
    return arrived;
}
