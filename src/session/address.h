/* SPDX-License-Identifier: Apache-2.0 */
/* Where somebody listens, as people write it: "host:port", "[ipv6]:port", or a UNIX socket's path,
 * which begins with '/'. */
#ifndef CKPT_SESSION_ADDRESS_H
#define CKPT_SESSION_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/limits.h"
#include <ckpt/status.h>

struct address {
    struct sockaddr_storage socket;
    socklen_t bytes;
};

/* Whether text is a UNIX socket's path. */
bool address_is_path(const char *text);

/* Whether its host is a number, so that address_resolve asks nobody. */
bool address_is_number(const char *text);

/* Whether it stands for every address of a machine: "*:7471", ":7471", "0.0.0.0:7471", "[::]:7471".
 * One may listen there; it is of no use to who wants to connect. */
bool address_is_any(const char *text);

enum address_use {
    ADDRESS_LISTEN,  /* any address, and port 0, which takes a free one, are fine */
    ADDRESS_CONNECT, /* neither is */
};

/* Whether text can be an address, without asking for its host: CKPT_OK, or CKPT_ERR_INVALID with
 * what is wrong and how it is written in reason_out (CKPT_REASON_MAX + 1 bytes). */
enum ckpt_status address_check(const char *text, enum address_use use, char *reason_out);

/* Finds the socket address that text names. A host that is not a number is looked up, which may
 * block for as long as the resolver does: addresses that a daemon connects to again and again are
 * better numbers. listening: "*:port" and ":port" are any address of this machine.
 *
 * reason_out has room for CKPT_REASON_MAX + 1 characters and is set on failure.
 *
 * ERRORS
 * - CKPT_ERR_INVALID - what address_check refuses
 * - CKPT_ERR_NOT_FOUND - no such host */
enum ckpt_status address_resolve(const char *text, bool listening, struct address *address_out,
                                 char *reason_out);

/* "127.0.0.1:7471", "[::1]:7471", "/run/x.sock"; "" for a UNIX socket without a name. */
void address_text(const struct address *address, char text_out[CKPT_ADDRESS_MAX + 1]);

#endif
