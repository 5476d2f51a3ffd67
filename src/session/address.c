/* SPDX-License-Identifier: Apache-2.0 */
#include "session/address.h"
#include "base/reason.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

bool address_is_path(const char *text)
{
    return text[0] == '/';
}

static enum ckpt_status resolve_path(const char *text, struct address *address_out,
                                     char *reason_out)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    size_t bytes = strlen(text);
    if (bytes >= sizeof(path.sun_path)) {
        return reason_refuse(reason_out, CKPT_ERR_INVALID,
                             "the socket path %.60s... is longer than %zu characters", text,
                             sizeof(path.sun_path) - 1);
    }
    memcpy(path.sun_path, text, bytes + 1);
    memset(address_out, 0, sizeof(*address_out));
    memcpy(&address_out->socket, &path, sizeof(path));
    address_out->bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes + 1);
    return CKPT_OK;
}

/* Splits "host:port" and "[host]:port"; false when it is neither. */
static bool split(const char *text, char host_out[256], char port_out[8])
{
    const char *colon = strrchr(text, ':');
    if (!colon || strlen(colon + 1) == 0 || strlen(colon + 1) > 5 ||
        colon[1 + strspn(colon + 1, "0123456789")] != '\0' || atol(colon + 1) > 65535) {
        return false;
    }
    const char *host = text;
    size_t bytes = (size_t)(colon - text);
    if (bytes >= 2 && host[0] == '[' && host[bytes - 1] == ']') {
        host++;
        bytes -= 2;
    } else if (memchr(host, ':', bytes)) {
        return false;
    }
    if (bytes >= 256) {
        return false;
    }
    memcpy(host_out, host, bytes);
    host_out[bytes] = '\0';
    strcpy(port_out, colon + 1);
    return true;
}

static bool read_v4(const char *host, uint16_t port, struct address *address_out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    /* inet_aton also takes what follows a space. */
    if (host[strspn(host, "0123456789abcdefABCDEFxX.")] != '\0' ||
        inet_aton(host, &v4.sin_addr) == 0) {
        return false;
    }
    memcpy(&address_out->socket, &v4, sizeof(v4));
    address_out->bytes = sizeof(v4);
    return true;
}

/* With a zone behind a '%' where there is one: "fe80::1%eth0". */
static bool read_v6(const char *host, uint16_t port, struct address *address_out)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    char number[INET6_ADDRSTRLEN];
    const char *zone = strchr(host, '%');
    size_t bytes = zone ? (size_t)(zone - host) : strlen(host);
    if (bytes >= sizeof(number)) {
        return false;
    }
    memcpy(number, host, bytes);
    number[bytes] = '\0';
    if (inet_pton(AF_INET6, number, &v6.sin6_addr) != 1) {
        return false;
    }
    if (zone) {
        unsigned int index = if_nametoindex(zone + 1);
        v6.sin6_scope_id = index != 0 ? index : (uint32_t)strtoul(zone + 1, NULL, 10);
        if (v6.sin6_scope_id == 0) {
            return false;
        }
    }
    memcpy(&address_out->socket, &v6, sizeof(v6));
    address_out->bytes = sizeof(v6);
    return true;
}

/* The host as a number; false when it is none. Not by getaddrinfo, which some systems have ask
 * others even then. */
static bool read_number(const char *host, const char *port, struct address *address_out)
{
    uint16_t number = (uint16_t)atol(port);
    memset(address_out, 0, sizeof(*address_out));
    return read_v4(host, number, address_out) || read_v6(host, number, address_out);
}

static bool is_any_host(const char *host)
{
    struct address address;
    if (host[0] == '\0' || strcmp(host, "*") == 0) {
        return true;
    }
    if (!read_number(host, "1", &address)) {
        return false;
    }
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (address.socket.ss_family == AF_INET) {
        memcpy(&v4, &address.socket, sizeof(v4));
        return v4.sin_addr.s_addr == INADDR_ANY;
    }
    memcpy(&v6, &address.socket, sizeof(v6));
    static const uint8_t mapped_any[16] = {[10] = 0xff, [11] = 0xff};
    return memcmp(&v6.sin6_addr, &in6addr_any, sizeof(in6addr_any)) == 0 ||
           memcmp(&v6.sin6_addr, mapped_any, sizeof(mapped_any)) == 0;
}

bool address_is_number(const char *text)
{
    char host[256];
    char port[8];
    struct address address;
    return split(text, host, port) && read_number(host, port, &address);
}

bool address_is_any(const char *text)
{
    char host[256];
    char port[8];
    return split(text, host, port) && is_any_host(host);
}

/* A number, or what a name may be made of. */
static bool host_is_good(const char *text, const char *host)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "._-";
    struct address address;
    if (text[0] == '[') {
        return strchr(host, ':') != NULL && read_number(host, "1", &address);
    }
    /* Digits and dots are no name that can be looked up, and so a number or a slip. */
    return host[0] != '\0' && host[strspn(host, letters)] == '\0' &&
           (host[strspn(host, "0123456789.")] != '\0' || read_number(host, "1", &address));
}

enum ckpt_status address_check(const char *text, enum address_use use, char *reason_out)
{
    struct address address;
    char host[256];
    char port[8];
    if (address_is_path(text)) {
        return resolve_path(text, &address, reason_out);
    }
    if (strlen(text) > CKPT_ADDRESS_MAX) {
        return reason_refuse(reason_out, CKPT_ERR_INVALID,
                             "the address %.60s... is longer than %d characters", text,
                             CKPT_ADDRESS_MAX);
    }
    if (!split(text, host, port) ||
        (strcmp(host, "*") != 0 && host[0] != '\0' && !host_is_good(text, host))) {
        return reason_refuse(reason_out, CKPT_ERR_INVALID,
                             "'%.100s' is no address: write host:port, [ipv6]:port or /path", text);
    }
    if (use == ADDRESS_CONNECT && is_any_host(host)) {
        return reason_refuse(reason_out, CKPT_ERR_INVALID,
                             "'%.100s' is no address: it stands for every address of a machine, "
                             "and one is needed that others reach",
                             text);
    }
    if (use == ADDRESS_CONNECT && atol(port) == 0) {
        return reason_refuse(reason_out, CKPT_ERR_INVALID, "'%.100s' has no port that is reached",
                             text);
    }
    return CKPT_OK;
}

enum ckpt_status address_resolve(const char *text, bool listening, struct address *address_out,
                                 char *reason_out)
{
    char host[256];
    char port[8];
    enum ckpt_status status =
        address_check(text, listening ? ADDRESS_LISTEN : ADDRESS_CONNECT, reason_out);
    if (status != CKPT_OK) {
        return status;
    }
    if (address_is_path(text)) {
        return resolve_path(text, address_out, reason_out);
    }
    (void)split(text, host, port);
    bool any = host[0] == '\0' || strcmp(host, "*") == 0;
    if (!any && read_number(host, port, address_out)) {
        return CKPT_OK;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | (any ? AI_PASSIVE : 0)};
    struct addrinfo *found;
    int error = getaddrinfo(any ? NULL : host, port, &hints, &found);
    if (error != 0) {
        return reason_refuse(reason_out, CKPT_ERR_NOT_FOUND, "no host '%.100s': %s", host,
                             gai_strerror(error));
    }
    memset(address_out, 0, sizeof(*address_out));
    memcpy(&address_out->socket, found->ai_addr, found->ai_addrlen);
    address_out->bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return CKPT_OK;
}

void address_text(const struct address *address, char text_out[CKPT_ADDRESS_MAX + 1])
{
    char host[INET6_ADDRSTRLEN + 16];
    char port[8];
    text_out[0] = '\0';
    if (address->socket.ss_family == AF_UNIX) {
        struct sockaddr_un path = {.sun_family = AF_UNIX};
        if (address->bytes > offsetof(struct sockaddr_un, sun_path)) {
            memcpy(&path, &address->socket, address->bytes);
            snprintf(text_out, CKPT_ADDRESS_MAX + 1, "%.*s", (int)sizeof(path.sun_path) - 1,
                     path.sun_path);
        }
        return;
    }
    if (getnameinfo((const struct sockaddr *)&address->socket, address->bytes, host, sizeof(host),
                    port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        snprintf(text_out, CKPT_ADDRESS_MAX + 1, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
                 port);
    }
}
