/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/reason.h"
#include "session/address.h"
#include "wire/message_codec.h"
#include "wire/stream.h"

#define CONNECT_PAUSE_MS 10

struct link {
    int fd;
    struct incarnation incarnation;
    uint64_t sequence;
    struct wire_stream stream;
    struct message_scratch scratch;
    struct message message;
    uint8_t buffer[FRAME_BYTES_MAX];
    uint8_t memory[MESSAGE_SCRATCH_BYTES(CKPT_FRAME_BODY_MAX)];
};

/* Waits until the socket is ready for `events`, until end_ms at most. */
static bool await(int fd, short events, uint64_t end_ms)
{
    struct pollfd waiting = {.fd = fd, .events = events};
    for (;;) {
        uint64_t now = clock_now_ms();
        int ready = now < end_ms ? poll(&waiting, 1, (int)(end_ms - now)) : 0;
        if (ready > 0) {
            return true;
        }
        if (ready == 0 || errno != EINTR) {
            errno = ready == 0 ? ETIMEDOUT : errno;
            return false;
        }
    }
}

/* A UNIX socket whose queue is full answers EAGAIN, and there is nothing to poll for. */
static bool connect_within(int fd, const struct address *address, uint64_t end_ms)
{
    int error = 0;
    socklen_t bytes = sizeof(error);
    const struct sockaddr *socket = (const struct sockaddr *)&address->socket;
    int failure = connect(fd, socket, address->bytes) == 0 ? 0 : errno;
    while (failure == EAGAIN && clock_now_ms() < end_ms) {
        (void)poll(NULL, 0, CONNECT_PAUSE_MS);
        failure = connect(fd, socket, address->bytes) == 0 ? 0 : errno;
    }
    if (failure == 0) {
        return true;
    }
    if (failure != EINPROGRESS) {
        errno = failure;
        return false;
    }
    if (!await(fd, POLLOUT, end_ms) || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) {
        return false;
    }
    errno = error;
    return error == 0;
}

static enum ckpt_status refuse_unreachable(const char *address, char *reason_out)
{
    const char *hint = errno == EACCES ? "this user may not reach it"
                       : address_is_path(address)
                           ? "is ckptctld running on this node? Start it, or name another with "
                             "--coordinator or CKPT_COORDINATOR"
                           : "is ckptctld running there, and is that the address it listens at?";
    return reason_refuse(reason_out, CKPT_ERR_NO_COORDINATOR,
                         "no coordinator answers at %s: %s; %s", address, strerror(errno), hint);
}

static enum ckpt_status open_link(struct ctl *ctl, uint64_t end_ms, char *reason_out)
{
    struct address address;
    enum ckpt_status status = address_resolve(ctl->coordinator, false, &address, reason_out);
    if (status != CKPT_OK) {
        return status == CKPT_ERR_NOT_FOUND ? CKPT_ERR_NO_COORDINATOR : status;
    }
    struct link *link = malloc(sizeof(*link));
    if (!link) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory");
    }
    link->sequence = 0;
    wire_stream_init(&link->stream, link->buffer, sizeof(link->buffer));
    message_scratch_init(&link->scratch, link->memory, sizeof(link->memory));
    link->fd = socket(address.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (link->fd < 0 || !connect_within(link->fd, &address, end_ms) ||
        getrandom(&link->incarnation, sizeof(link->incarnation), 0) != sizeof(link->incarnation)) {
        status = refuse_unreachable(ctl->coordinator, reason_out);
        if (link->fd >= 0) {
            close(link->fd);
        }
        free(link);
        return status;
    }
    ctl->link = link;
    return CKPT_OK;
}

static enum ckpt_status refuse_silent(const struct ctl *ctl, const char *why, char *reason_out)
{
    return reason_refuse(reason_out, CKPT_ERR_NO_COORDINATOR, "the coordinator at %s %s",
                         ctl->coordinator, why);
}

static enum ckpt_status send_ask(struct ctl *ctl, const struct message_admin_ask *ask,
                                 uint64_t end_ms, char *reason_out)
{
    struct link *link = ctl->link;
    assert(link != NULL);
    uint8_t frame[4096];
    size_t bytes;
    struct message message = {.type = MESSAGE_ADMIN_ASK, .incarnation = link->incarnation};
    message.sequence = ++link->sequence;
    message.admin_ask = *ask;
    message.admin_ask.cookie = link->sequence;
    enum ckpt_status status = message_encode(&message, frame, sizeof(frame), &bytes);
    if (status != CKPT_OK) {
        return reason_refuse(reason_out, status, "the question cannot be sent: %s",
                             ckpt_status_text(status));
    }
    for (size_t sent = 0; sent < bytes;) {
        ssize_t some = send(link->fd, frame + sent, bytes - sent, MSG_NOSIGNAL);
        if (some >= 0) {
            sent += (size_t)some;
        } else if (errno != EINTR && (errno != EAGAIN || !await(link->fd, POLLOUT, end_ms))) {
            return refuse_silent(ctl, "went away", reason_out);
        }
    }
    return CKPT_OK;
}

/* The next message; NULL with a reason when none comes. */
static const struct message *receive(struct ctl *ctl, uint64_t end_ms, char *reason_out)
{
    struct link *link = ctl->link;
    for (;;) {
        const uint8_t *frame;
        uint8_t *space;
        size_t bytes;
        if (wire_stream_next(&link->stream, &frame, &bytes) != CKPT_OK) {
            refuse_silent(ctl, "speaks another protocol", reason_out);
            return NULL;
        }
        if (frame) {
            if (message_decode(frame, bytes, &link->scratch, &link->message) == CKPT_OK) {
                return &link->message;
            }
            refuse_silent(ctl, "sent what is no message", reason_out);
            return NULL;
        }
        size_t room = wire_stream_space(&link->stream, &space);
        ssize_t got = recv(link->fd, space, room, 0);
        if (got > 0) {
            wire_stream_filled(&link->stream, (size_t)got);
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            refuse_silent(ctl, "closed the connection", reason_out);
            return NULL;
        } else if (!await(link->fd, POLLIN, end_ms)) {
            refuse_silent(ctl, "does not answer", reason_out);
            return NULL;
        }
    }
}

static enum ckpt_status take_answer(const struct message_admin_answer *answer,
                                    json_t **document_out, char *reason_out)
{
    if (answer->status != CKPT_OK) {
        return reason_refuse(reason_out, answer->status, "%s", answer->reason);
    }
    json_t *document = json_loadb(answer->json, answer->json_bytes, 0, NULL);
    if (!document) {
        return reason_refuse(reason_out, CKPT_ERR_PROTOCOL, "the answer is no JSON");
    }
    *document_out = document;
    return CKPT_OK;
}

enum ckpt_status link_ask(struct ctl *ctl, const struct message_admin_ask *ask,
                          json_t **document_out, char *reason_out)
{
    uint64_t end_ms = clock_now_ms() + ANSWER_MS;
    enum ckpt_status status = CKPT_OK;
    if (!ctl->link) {
        status = open_link(ctl, end_ms, reason_out);
    }
    if (status == CKPT_OK) {
        status = send_ask(ctl, ask, end_ms, reason_out);
    }
    const struct message *message = NULL;
    while (status == CKPT_OK) {
        message = receive(ctl, end_ms, reason_out);
        if (!message) {
            status = CKPT_ERR_NO_COORDINATOR;
        } else if (message->type == MESSAGE_ADMIN_ANSWER &&
                   message->admin_answer.cookie == ctl->link->sequence) {
            return take_answer(&message->admin_answer, document_out, reason_out);
        } else if (message->type == MESSAGE_WELCOME) {
            status = reason_refuse(reason_out, message->welcome.status, "refused: %s",
                                   message->welcome.reason);
        }
    }
    /* The next ask begins anew. */
    link_close(ctl);
    return status;
}

enum exit_code link_ask_all(struct ctl *ctl, struct message_admin_ask *ask, const char *entries,
                            json_t **document_out)
{
    char reason[CKPT_REASON_MAX + 1];
    enum ckpt_status status = link_ask_pages(ctl, ask, entries, document_out, reason);
    return status == CKPT_OK ? EXIT_DONE : link_complain(status, reason);
}

enum ckpt_status link_ask_pages(struct ctl *ctl, struct message_admin_ask *ask, const char *entries,
                                json_t **document_out, char *reason_out)
{
    json_t *all = NULL;
    ask->from = 0;
    for (;;) {
        json_t *page;
        enum ckpt_status status = link_ask(ctl, ask, &page, reason_out);
        if (status != CKPT_OK) {
            json_decref(all);
            return status;
        }
        const json_t *next = json_object_get(page, "next");
        bool is_last = !json_is_integer(next);
        uint32_t from = (uint32_t)json_integer_value(next);
        if (!all) {
            all = page;
        } else {
            json_array_extend(json_object_get(all, entries), json_object_get(page, entries));
            json_decref(page);
        }
        if (is_last || from <= ask->from) {
            json_object_del(all, "next");
            *document_out = all;
            return CKPT_OK;
        }
        ask->from = from;
    }
}

enum exit_code link_complain(enum ckpt_status status, const char *reason)
{
    return complain(status == CKPT_ERR_NO_COORDINATOR ? EXIT_NOBODY : EXIT_NO, "%s", reason);
}

void link_close(struct ctl *ctl)
{
    if (ctl->link) {
        close(ctl->link->fd);
        free(ctl->link);
        ctl->link = NULL;
    }
}
