/* SPDX-License-Identifier: Apache-2.0 */
#include "fanout/tcp.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/reason.h"

#define BACKLOG 1024 /* all ranks of a group may come at once */

static enum ckpt_status look_up(const char *host, const char *port, bool listening,
                                struct addrinfo **found_out, char *reason)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | (listening ? AI_PASSIVE : 0)};
    int error = getaddrinfo(host, port, &hints, found_out);
    if (error == 0) {
        return CKPT_OK;
    }
    return reason_refuse(reason, CKPT_ERR_NOT_FOUND, "fan-out: the host %.100s: %s", host,
                         gai_strerror(error));
}

static void set_prompt(int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int port_of(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
                     : ((const struct sockaddr_in *)(const void *)address)->sin_port);
}

enum ckpt_status tcp_listen(const char *host, int *fd_out, char address_out[TCP_ADDRESS_BYTES],
                            char *reason)
{
    struct addrinfo *found = NULL;
    struct sockaddr_storage got;
    socklen_t got_bytes = sizeof(got);
    enum ckpt_status status = look_up(host, "0", true, &found, reason);
    if (status != CKPT_OK) {
        return status;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&got, &got_bytes) != 0) {
        status = reason_refuse(reason, CKPT_ERR_SYSTEM, "fan-out: cannot listen at %.100s: %s",
                               host, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
    } else {
        bool is_v6 = strchr(host, ':') != NULL;
        snprintf(address_out, TCP_ADDRESS_BYTES, "%s%.90s%s:%d", is_v6 ? "[" : "", host,
                 is_v6 ? "]" : "", port_of(&got));
        *fd_out = fd;
    }
    freeaddrinfo(found);
    return status;
}

/* "host:port" or "[host]:port" to its two parts. */
static bool split(const char *address, char *host, size_t room, const char **port_out)
{
    const char *colon = strrchr(address, ':');
    size_t length = colon != NULL ? (size_t)(colon - address) : 0;
    if (length > 1 && address[0] == '[' && address[length - 1] == ']') {
        address++;
        length -= 2;
    }
    if (length == 0 || length >= room) {
        return false;
    }
    memcpy(host, address, length);
    host[length] = '\0';
    *port_out = colon + 1;
    return true;
}

enum ckpt_status tcp_connect(const char *address, int *fd_out, char *reason)
{
    char host[TCP_ADDRESS_BYTES];
    const char *port;
    struct addrinfo *found = NULL;
    if (!split(address, host, sizeof(host), &port)) {
        return reason_refuse(reason, CKPT_ERR_PROTOCOL, "fan-out: %.100s is no address", address);
    }
    enum ckpt_status status = look_up(host, port, false, &found, reason);
    if (status != CKPT_OK) {
        return status;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || (connect(fd, found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS)) {
        status = reason_refuse(reason, fd < 0 ? CKPT_ERR_SYSTEM : CKPT_ERR_LINK,
                               "fan-out: cannot connect to %.100s: %s", address, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
    } else {
        set_prompt(fd);
        *fd_out = fd;
    }
    freeaddrinfo(found);
    return status;
}

int tcp_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        set_prompt(fd);
    }
    return fd;
}

int tcp_error(int fd)
{
    int error = 0;
    socklen_t bytes = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) == 0 ? error : errno;
}

enum ckpt_status tcp_host_of(int fd, char host_out[TCP_ADDRESS_BYTES])
{
    struct sockaddr_storage own;
    socklen_t bytes = sizeof(own);
    if (getsockname(fd, (struct sockaddr *)&own, &bytes) != 0 ||
        getnameinfo((const struct sockaddr *)&own, bytes, host_out, TCP_ADDRESS_BYTES, NULL, 0,
                    NI_NUMERICHOST) != 0) {
        return CKPT_ERR_SYSTEM;
    }
    return CKPT_OK;
}
