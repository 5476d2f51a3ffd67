/* SPDX-License-Identifier: Apache-2.0 */
#include "client/agent_link.h"
#include "base/reason.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* No agent passes more in one sendmsg: the kernel's SCM_MAX_FD. */
#define DESCRIPTORS_A_MESSAGE 253

/* How often a receive whose time is up reads what lies there. */
#define READS_WHEN_LATE 16

/* How long to wait before a listener whose queue is full is tried again. */
#define CONNECT_PAUSE_MS 5

static const enum message_type types_sent[] = {
    MESSAGE_RANK_OPEN, MESSAGE_SLOT_ASK,       MESSAGE_SEAL, MESSAGE_ABANDON, MESSAGE_LOAD_ASK,
    MESSAGE_RELEASE,   MESSAGE_CHECKPOINT_ASK, MESSAGE_JOB,  MESSAGE_GATHER,  MESSAGE_PREPARE,
};
static const enum message_type types_received[] = {
    MESSAGE_RANK_OPENED,     MESSAGE_SLOT_GRANTED, MESSAGE_SAVE_OUTCOME, MESSAGE_LOADED,
    MESSAGE_CHECKPOINT_INFO, MESSAGE_JOB_TOLD,     MESSAGE_GATHERED,     MESSAGE_PREPARE,
};

static size_t longest(const enum message_type *types, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        size_t one = message_frame_bytes_max(types[i]);
        bytes = one > bytes ? one : bytes;
    }
    return bytes;
}

enum ckpt_status agent_link_init(struct agent_link *link, char *reason_out)
{
    *link = (struct agent_link){.fd = -1};
    size_t input_bytes = longest(types_received, sizeof(types_received) / sizeof(*types_received));
    size_t scratch_bytes = MESSAGE_SCRATCH_BYTES(input_bytes);
    link->output_bytes = longest(types_sent, sizeof(types_sent) / sizeof(*types_sent));
    ssize_t drawn = getrandom(&link->incarnation, sizeof(link->incarnation), 0);
    if (drawn != (ssize_t)sizeof(link->incarnation) || incarnation_is_zero(&link->incarnation)) {
        return reason_refuse(reason_out, CKPT_ERR_SYSTEM,
                             "the kernel gave no random numbers (getrandom)");
    }
    link->memory = malloc(input_bytes + link->output_bytes + scratch_bytes);
    if (link->memory == NULL) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY,
                             "no memory for the buffers of a connection");
    }
    wire_stream_init(&link->stream, link->memory, input_bytes);
    link->output = link->memory + input_bytes;
    message_scratch_init(&link->scratch, link->output + link->output_bytes, scratch_bytes);
    return CKPT_OK;
}

void agent_link_fini(struct agent_link *link)
{
    agent_link_close(link);
    free(link->memory);
    link->memory = NULL;
}

static void close_all(int *descriptors, uint32_t *count)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (descriptors[i] >= 0) {
            (void)close(descriptors[i]);
        }
    }
    *count = 0;
}

void agent_link_close(struct agent_link *link)
{
    if (link->fd >= 0) {
        (void)close(link->fd);
    }
    link->fd = -1;
    close_all(link->arrived, &link->arrived_count);
    close_all(link->carried, &link->carried_count);
}

bool agent_link_is_up(const struct agent_link *link)
{
    return link->fd >= 0;
}

/* poll() until the socket is ready; CKPT_ERR_TIMEOUT. Signals only shorten one round. */
static enum ckpt_status await(int fd, short events, struct deadline deadline)
{
    for (;;) {
        struct pollfd entry = {.fd = fd, .events = events};
        int ready = poll(&entry, 1, deadline_left_ms(deadline));
        if (ready > 0) {
            return CKPT_OK;
        }
        if (ready == 0 && deadline_left_ms(deadline) == 0) {
            return CKPT_ERR_TIMEOUT;
        }
        if (ready < 0 && errno != EINTR) {
            return CKPT_ERR_SYSTEM;
        }
        if (ready < 0 && deadline_left_ms(deadline) == 0) {
            return CKPT_ERR_TIMEOUT;
        }
    }
}

/* A listener whose queue is full answers EAGAIN and there is nothing to poll for. */
static int connect_within(int fd, const struct sockaddr_un *address, struct deadline deadline)
{
    for (;;) {
        if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
            return 0;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return errno;
        }
        if (deadline_left_ms(deadline) == 0) {
            return ETIMEDOUT;
        }
        (void)poll(NULL, 0, CONNECT_PAUSE_MS);
    }
}

enum ckpt_status agent_link_connect(struct agent_link *link, const char *path,
                                    struct deadline deadline, char *reason_out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    agent_link_close(link);
    if (length == 0 || length >= sizeof(address.sun_path)) {
        return reason_refuse(reason_out, CKPT_ERR_NAME,
                             "the path of the agent's socket has %zu bytes: 1 to %zu are possible",
                             length, sizeof(address.sun_path) - 1);
    }
    memcpy(address.sun_path, path, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return reason_refuse(reason_out, CKPT_ERR_SYSTEM, "no socket to be had: %s",
                             strerror(errno));
    }
    int error = connect_within(fd, &address, deadline);
    if (error != 0) {
        (void)close(fd);
        return reason_refuse(
            reason_out, CKPT_ERR_NO_AGENT,
            "no agent answers at %s (%s): start ckptd on this node, or set CKPT_SOCKET", path,
            strerror(error));
    }
    link->fd = fd;
    link->number++;
    wire_stream_init(&link->stream, link->stream.buffer, link->stream.capacity);
    return CKPT_OK;
}

/* Closes the connection for cause. */
static enum ckpt_status lose(struct agent_link *link, enum ckpt_status cause)
{
    agent_link_close(link);
    return cause;
}

/* One sendmsg; with the first byte the descriptor goes along, unless it is -1. */
static ssize_t send_some(const struct agent_link *link, size_t sent, size_t bytes, int descriptor)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS,
                            .cmsg_len = CMSG_LEN(sizeof(int))}};
    struct iovec part = {.iov_base = link->output + sent, .iov_len = bytes - sent};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (sent == 0 && descriptor >= 0) {
        memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(descriptor));
        header.msg_control = &control;
        header.msg_controllen = sizeof(control);
    }
    return sendmsg(link->fd, &header, MSG_NOSIGNAL);
}

enum ckpt_status agent_link_send(struct agent_link *link, struct message *message,
                                 struct deadline deadline, char *reason_out)
{
    return agent_link_send_with(link, message, -1, deadline, reason_out);
}

enum ckpt_status agent_link_send_with(struct agent_link *link, struct message *message,
                                      int descriptor, struct deadline deadline, char *reason_out)
{
    if (link->fd < 0) {
        return reason_refuse(reason_out, CKPT_ERR_LINK, "not connected to the agent");
    }
    size_t bytes;
    message->incarnation = link->incarnation;
    message->sequence = link->sequence + 1;
    message->epoch = 0;
    if (message_encode(message, link->output, link->output_bytes, &bytes) != CKPT_OK) {
        return reason_refuse(reason_out, CKPT_ERR_INTERNAL,
                             "libckpt made a %s message out of bounds",
                             message_type_name(message->type));
    }
    link->sequence++;
    for (size_t sent = 0; sent < bytes;) {
        ssize_t now = send_some(link, sent, bytes, descriptor);
        if (now >= 0) {
            sent += (size_t)now;
            continue;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN) {
            return lose(link, reason_refuse(reason_out, CKPT_ERR_LINK, "the agent has gone (%s)",
                                            strerror(errno)));
        }
        if (await(link->fd, POLLOUT, deadline) != CKPT_OK) {
            if (sent > 0) {
                agent_link_close(link);
            }
            return reason_refuse(reason_out, CKPT_ERR_TIMEOUT, "the agent takes no more messages");
        }
    }
    return CKPT_OK;
}

/* Puts the descriptors of one recvmsg into the queue. False:
 * there were more than a shard may have. */
static bool queue_descriptors(struct agent_link *link, struct msghdr *header)
{
    bool fits = true;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (link->arrived_count < CKPT_SEGMENTS_PER_SHARD_MAX) {
                link->arrived[link->arrived_count++] = fd;
            } else {
                (void)close(fd);
                fits = false;
            }
        }
    }
    return fits;
}

/* One recvmsg. CKPT_ERR_TIMEOUT when there is nothing to read now. */
static enum ckpt_status read_some(struct agent_link *link, char *reason_out)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(DESCRIPTORS_A_MESSAGE * sizeof(int))];
    } control;
    uint8_t *space;
    struct iovec part = {.iov_len = wire_stream_space(&link->stream, &space)};
    part.iov_base = space;
    struct msghdr header = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    if (link->stream.start == link->stream.end) {
        /* Between two frames, what was not a frame's is nobody's. */
        close_all(link->arrived, &link->arrived_count);
    }
    ssize_t got = recvmsg(link->fd, &header, MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return CKPT_ERR_TIMEOUT;
    }
    if (got < 0) {
        return lose(link, reason_refuse(reason_out, CKPT_ERR_LINK, "the agent has gone (%s)",
                                        strerror(errno)));
    }
    if (!queue_descriptors(link, &header)) {
        return lose(link, reason_refuse(reason_out, CKPT_ERR_PROTOCOL,
                                        "the agent passed more descriptors than a shard may have"));
    }
    if (header.msg_flags & MSG_CTRUNC) {
        return lose(link, reason_refuse(
                              reason_out, CKPT_ERR_SYSTEM,
                              "this process may open no more files: raise its limit (ulimit -n)"));
    }
    if (got == 0) {
        return lose(link,
                    reason_refuse(reason_out, CKPT_ERR_LINK, "the agent closed the connection"));
    }
    wire_stream_filled(&link->stream, (size_t)got);
    return CKPT_OK;
}

static uint32_t descriptors_of(const struct message *message)
{
    if (message->type == MESSAGE_SLOT_GRANTED && message->slot_granted.status == CKPT_OK) {
        return message->slot_granted.segment_count;
    }
    if (message->type == MESSAGE_PREPARE && message->prepare.status == CKPT_OK) {
        return message->prepare.segment_count;
    }
    if (message->type == MESSAGE_LOADED && message->loaded.status == CKPT_OK) {
        return message->loaded.segment_count;
    }
    return 0;
}

/* Takes the message's descriptors out of the queue. */
static bool carry(struct agent_link *link, uint32_t count)
{
    if (count > link->arrived_count) {
        return false;
    }
    memcpy(link->carried, link->arrived, count * sizeof(int));
    link->carried_count = count;
    link->arrived_count -= count;
    memmove(link->arrived, link->arrived + count, link->arrived_count * sizeof(int));
    return true;
}

static bool is_old(struct agent_link *link, const struct message *message)
{
    if (incarnation_equal(&link->agent, &message->incarnation) &&
        message->sequence <= link->agent_sequence) {
        return true;
    }
    link->agent = message->incarnation;
    link->agent_sequence = message->sequence;
    return false;
}

/* The next frame that is buffered: CKPT_OK with a message, CKPT_ERR_TIMEOUT when none is whole. */
static enum ckpt_status take_frame(struct agent_link *link, struct message *message_out,
                                   char *reason_out)
{
    for (;;) {
        const uint8_t *frame;
        size_t bytes;
        struct message message;
        enum ckpt_status status = wire_stream_next(&link->stream, &frame, &bytes);
        if (status == CKPT_OK && frame == NULL) {
            return CKPT_ERR_TIMEOUT;
        }
        const char *why = link->stream.reason;
        if (status == CKPT_OK) {
            status = message_decode(frame, bytes, &link->scratch, &message);
            why = link->scratch.reason;
        }
        if (status == CKPT_ERR_VERSION) {
            return lose(
                link, reason_refuse(
                          reason_out, status,
                          "the agent and this libckpt are of different versions (%.120s): install "
                          "the same release of both",
                          why));
        }
        if (status != CKPT_OK) {
            return lose(
                link, reason_refuse(reason_out, CKPT_ERR_PROTOCOL,
                                    "what came from the agent's socket is not its protocol: %.160s",
                                    why));
        }
        close_all(link->carried, &link->carried_count);
        if (!carry(link, descriptors_of(&message))) {
            return lose(link, reason_refuse(reason_out, CKPT_ERR_PROTOCOL,
                                            "a %s message of %u segments came with %u descriptors",
                                            message_type_name(message.type),
                                            descriptors_of(&message), link->arrived_count));
        }
        if (!is_old(link, &message)) {
            *message_out = message;
            return CKPT_OK;
        }
    }
}

enum ckpt_status agent_link_receive(struct agent_link *link, struct deadline deadline,
                                    struct message *message_out, char *reason_out)
{
    if (link->fd < 0) {
        return reason_refuse(reason_out, CKPT_ERR_LINK, "not connected to the agent");
    }
    for (uint32_t reads = 0;; reads++) {
        enum ckpt_status status = take_frame(link, message_out, reason_out);
        if (status != CKPT_ERR_TIMEOUT) {
            return status;
        }
        /* The time is looked at between reads too, so that an agent that sends bytes without end
         * holds nobody longer than one that sends none. */
        if (reads < READS_WHEN_LATE || deadline_left_ms(deadline) > 0) {
            status = read_some(link, reason_out);
        }
        if (status == CKPT_OK) {
            continue;
        }
        if (status != CKPT_ERR_TIMEOUT) {
            return status;
        }
        status = reads < READS_WHEN_LATE ? await(link->fd, POLLIN, deadline) : CKPT_ERR_TIMEOUT;
        if (status != CKPT_OK) {
            return reason_refuse(reason_out, status, "no answer from the agent in time");
        }
    }
}
