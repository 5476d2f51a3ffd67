/* SPDX-License-Identifier: Apache-2.0 */
/* Messages, ticks, and silence. */
#include "raw/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/reason.h"
#include "process/clock.h"

#define TICK_MS 1000
#define SEND_SECONDS 5

struct control {
    int fd;
    int stop_fd; /* readable: the ticking ends */
    pthread_t ticker;
    pthread_mutex_t sending;
    uint64_t heard_ns;
    size_t filled;
    char line[CONTROL_LINE_MAX + 1];
};

static enum ckpt_status send_text(struct control *control, const char *text, size_t length)
{
    enum ckpt_status status = CKPT_OK;
    pthread_mutex_lock(&control->sending);
    while (length > 0 && status == CKPT_OK) {
        ssize_t sent = send(control->fd, text, length, MSG_NOSIGNAL);
        if (sent > 0) {
            text += sent;
            length -= (size_t)sent;
        } else if (errno != EINTR) {
            status = CKPT_ERR_LINK;
        }
    }
    pthread_mutex_unlock(&control->sending);
    return status;
}

static void *tick(void *context)
{
    static const char message[] = "{\"tick\": 1}\n";
    struct control *control = context;
    struct pollfd stop = {.fd = control->stop_fd, .events = POLLIN};
    while (poll(&stop, 1, TICK_MS) == 0) {
        if (send_text(control, message, sizeof(message) - 1) != CKPT_OK) {
            break; /* the owner notices by itself */
        }
    }
    return NULL;
}

struct control *control_open(int fd)
{
    const struct timeval patience = {.tv_sec = SEND_SECONDS};
    struct control *control = calloc(1, sizeof(*control));
    if (control == NULL) {
        goto close_fd;
    }
    control->fd = fd;
    control->heard_ns = clock_now_ns();
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    control->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (control->stop_fd < 0) {
        goto free_control;
    }
    pthread_mutex_init(&control->sending, NULL);
    if (pthread_create(&control->ticker, NULL, tick, control) != 0) {
        goto close_stop;
    }
    return control;

close_stop:
    close(control->stop_fd);
free_control:
    free(control);
close_fd:
    close(fd);
    return NULL;
}

void control_close(struct control **control)
{
    struct control *c = *control;
    if (c == NULL) {
        return;
    }
    eventfd_write(c->stop_fd, 1);
    pthread_join(c->ticker, NULL);
    pthread_mutex_destroy(&c->sending);
    close(c->stop_fd);
    close(c->fd);
    free(c);
    *control = NULL;
}

int control_fd(const struct control *control)
{
    return control->fd;
}

enum ckpt_status control_send(struct control *control, json_t *message)
{
    char *text = message != NULL ? json_dumps(message, JSON_COMPACT) : NULL;
    enum ckpt_status status = CKPT_ERR_MEMORY;
    if (text != NULL) {
        size_t length = strlen(text);
        text[length] = '\n'; /* where the NUL was */
        status = send_text(control, text, length + 1);
    }
    free(text);
    json_decref(message);
    return status;
}

void control_refuse(struct control *control, enum ckpt_status status, const char *text)
{
    (void)control_send(control, json_pack("{s:s, s:i}", "error", text, "status", (int)status));
}

static enum ckpt_status say(char *reason, enum ckpt_status status, const char *text)
{
    return reason_refuse(reason, status, "%s", text);
}

/* What the other side says went wrong; a number that is none of ours is a protocol's breach. */
static enum ckpt_status take_error(const json_t *message, char *reason)
{
    const char *text = json_string_value(json_object_get(message, "error"));
    json_int_t status = json_integer_value(json_object_get(message, "status"));
    if (status <= 0 || status > INT32_MAX) {
        status = CKPT_ERR_PROTOCOL;
    }
    reason_set(reason, "%s", text != NULL ? text : "unknown error");
    return (enum ckpt_status)status;
}

/* Takes the first line of what was received; NULL in message_out: there is no whole line, or it was
 * a tick. */
static enum ckpt_status take_line(struct control *control, bool *taken_out, json_t **message_out,
                                  char *reason)
{
    char *end = memchr(control->line, '\n', control->filled);
    *taken_out = end != NULL;
    *message_out = NULL;
    if (end == NULL) {
        return control->filled < CONTROL_LINE_MAX
                   ? CKPT_OK
                   : say(reason, CKPT_ERR_PROTOCOL, "a line without an end");
    }
    size_t length = (size_t)(end - control->line);
    json_t *message = json_loadb(control->line, length, JSON_REJECT_DUPLICATES, NULL);
    control->filled -= length + 1;
    memmove(control->line, end + 1, control->filled);
    if (!json_is_object(message)) {
        json_decref(message);
        return say(reason, CKPT_ERR_PROTOCOL, "the other side does not speak as ckptbench does");
    }
    if (json_object_get(message, "error") != NULL) {
        enum ckpt_status status = take_error(message, reason);
        json_decref(message);
        return status;
    }
    if (json_object_get(message, "tick") != NULL) {
        json_decref(message);
        return CKPT_OK;
    }
    *message_out = message;
    return CKPT_OK;
}

/* Receives once what is there. */
static enum ckpt_status fill(struct control *control, char *reason)
{
    ssize_t count = recv(control->fd, control->line + control->filled,
                         CONTROL_LINE_MAX - control->filled, MSG_DONTWAIT);
    if (count > 0) {
        control->filled += (size_t)count;
        control->heard_ns = clock_now_ns();
    } else if (count == 0) {
        return say(reason, CKPT_ERR_LINK, "the other side has ended");
    } else if (errno != EAGAIN && errno != EINTR) {
        int error = errno;
        reason_set(reason, "the other side is gone: %s", strerror(error));
        /* A reset is how a process ends that had not read everything; all else is the network. */
        return error == ECONNRESET ? CKPT_ERR_LINK : CKPT_ERR_TIMEOUT;
    }
    return CKPT_OK;
}

/* Of what was received. */
static enum ckpt_status take_message(struct control *control, json_t **message_out, char *reason)
{
    enum ckpt_status status;
    bool taken;
    do {
        status = take_line(control, &taken, message_out, reason);
    } while (status == CKPT_OK && taken && *message_out == NULL);
    return status;
}

enum ckpt_status control_poll(struct control *control, json_t **message_out, char *reason)
{
    enum ckpt_status status = take_message(control, message_out, reason);
    if (status != CKPT_OK || *message_out != NULL) {
        return status;
    }
    status = fill(control, reason);
    if (status == CKPT_OK) {
        status = take_message(control, message_out, reason);
    }
    if (status == CKPT_OK && *message_out == NULL &&
        clock_now_ns() - control->heard_ns > CONTROL_SILENCE_MS * UINT64_C(1000000)) {
        status = say(reason, CKPT_ERR_TIMEOUT, "the other side is silent");
    }
    return status;
}

enum ckpt_status control_receive(struct control *control, json_t **message_out, char *reason)
{
    enum ckpt_status status = control_poll(control, message_out, reason);
    while (status == CKPT_OK && *message_out == NULL) {
        struct pollfd waiter = {.fd = control->fd, .events = POLLIN};
        (void)poll(&waiter, 1, TICK_MS);
        status = control_poll(control, message_out, reason);
    }
    return status;
}

json_t *control_hex(const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * CKPT_WORKER_ADDRESS_MAX];
    for (size_t i = 0; i < count && i < CKPT_WORKER_ADDRESS_MAX; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return json_stringn(text, 2 * count);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t control_unhex(const json_t *text, uint8_t *bytes_out, size_t size)
{
    const char *at = json_string_value(text);
    size_t count = json_string_length(text) / 2;
    if (at == NULL || json_string_length(text) % 2 != 0 || count > size) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        int high = digit(at[2 * i]);
        int low = digit(at[2 * i + 1]);
        if (high < 0 || low < 0) {
            return 0;
        }
        bytes_out[i] = (uint8_t)(high << 4 | low);
    }
    return count;
}
