/* SPDX-License-Identifier: Apache-2.0 */
/* TCP connections that never block, by addresses as people write them: "host:port",
 * "[ipv6]:port". */
#ifndef CKPT_FANOUT_TCP_H
#define CKPT_FANOUT_TCP_H

#include <ckpt/status.h>

#include "base/limits.h"

#define TCP_ADDRESS_BYTES (CKPT_ADDRESS_MAX + 1)

/* Listens at a port that the kernel chooses; address_out is how it is reached. */
enum ckpt_status tcp_listen(const char *host, int *fd_out, char address_out[TCP_ADDRESS_BYTES],
                            char *reason);

/* Begins to connect: done when it can be written to, and tcp_error says 0. Looks a name up, for
 * which the resolver takes its time. */
enum ckpt_status tcp_connect(const char *address, int *fd_out, char *reason);

/* The next that waits at a listener, or -1. */
int tcp_accept(int listener);

/* What went wrong with a connection, as an errno. */
int tcp_error(int fd);

/* By which host of this machine a connection goes, without its port. */
enum ckpt_status tcp_host_of(int fd, char host_out[TCP_ADDRESS_BYTES]);

#endif
