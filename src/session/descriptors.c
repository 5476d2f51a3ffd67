/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors on a UNIX socket: those that ride on frames we send, and the one that may come. */
#include "session/descriptors.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

void session_rider_drop(struct session *session)
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
        session_rider_drop(session);
    }
    int arrived = session_take_descriptor(session);
    if (arrived >= 0) {
        close(arrived);
    }
}

void session_descriptor_keep(struct session *session, struct msghdr *message)
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

int session_take_descriptor(struct session *session)
{
    int arrived = session->arrived;
    session->arrived = -1;
    return arrived;
}
