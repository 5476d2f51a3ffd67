/* SPDX-License-Identifier: Apache-2.0 */
/* Making the connection. */
#include "raw/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/reason.h"
#include "raw/control.h"
#include "session/address.h"

#define CONNECT_MS 5000

/* HOST becomes HOST:PORT, also where HOST is an IPv6 address with or without brackets. */
static bool complete(const char *where, char *text_out, size_t size)
{
    const char *colon = strchr(where, ':');
    const char *bracket = strrchr(where, ']');
    int length;
    if (where[0] != '[' && colon != NULL && strchr(colon + 1, ':') != NULL) {
        length = snprintf(text_out, size, "[%s]:" CONTROL_PORT, where);
    } else if (bracket != NULL ? bracket[1] == '\0' : colon == NULL) {
        length = snprintf(text_out, size, "%s:" CONTROL_PORT, where);
    } else {
        length = snprintf(text_out, size, "%s", where);
    }
    return (size_t)length < size;
}

static bool resolve(const char *where, bool listening, struct address *address_out, char *reason)
{
    char text[CKPT_ADDRESS_MAX + 1];
    if (!complete(where, text, sizeof(text))) {
        reason_set(reason, "the address %.60s... is too long", where);
        return false;
    }
    if (address_is_path(text)) {
        reason_set(reason, "%s is a path, want HOST or HOST:PORT", text);
        return false;
    }
    return address_resolve(text, listening, address_out, reason) == CKPT_OK;
}

/* A machine that is gone is noticed also while nothing is sent. */
static void watch(int fd)
{
    const int yes = 1;
    const int seconds = 1;
    const int probes = 4;
    const unsigned patience_ms = CONTROL_SILENCE_MS;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof(patience_ms));
}

static int await_connection(int fd, const struct address *address)
{
    struct pollfd waiter = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof(error);
    if (connect(fd, (const struct sockaddr *)&address->socket, address->bytes) == 0) {
        return 0;
    }
    if (errno != EINPROGRESS) {
        return errno;
    }
    if (poll(&waiter, 1, CONNECT_MS) != 1) {
        return ETIMEDOUT;
    }
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

int control_connect(const char *where, char *reason)
{
    struct address address;
    char text[CKPT_ADDRESS_MAX + 1];
    if (!resolve(where, false, &address, reason)) {
        return -1;
    }
    address_text(&address, text);
    int fd = socket(address.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = fd < 0 ? errno : await_connection(fd, &address);
    if (error != 0) {
        reason_set(reason, "cannot connect to %s: %s%s", text, strerror(error),
                   error == ECONNREFUSED ? " (is \"ckptbench serve\" running there?)" : "");
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    watch(fd);
    return fd;
}

int control_listen(const char *where, char *text_out, char *reason)
{
    struct address address;
    const int yes = 1;
    if (!resolve(where, true, &address, reason)) {
        return -1;
    }
    address_text(&address, text_out);
    int fd = socket(address.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        watch(fd); /* what is accepted is watched as well */
    }
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address.socket, address.bytes) != 0 ||
        listen(fd, 16) != 0) {
        reason_set(reason, "cannot listen at %s: %s", text_out, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    socklen_t size = sizeof(address.socket);
    if (getsockname(fd, (struct sockaddr *)&address.socket, &size) == 0) {
        address_text(&address, text_out);
    }
    return fd;
}
