/* SPDX-License-Identifier: Apache-2.0 */
/* Where the two ends of a control connection meet. */
#ifndef CKPTBENCH_CONTROL_SOCKET_H
#define CKPTBENCH_CONTROL_SOCKET_H

/* Connects to HOST[:PORT], waiting five seconds at most. Returns a socket, or -1 and a line in
 * reason (CKPT_REASON_MAX + 1 bytes) that says what to look at. */
int control_connect(const char *where, char *reason);

/* Listens at [HOST]:PORT. Returns a socket, or -1 and reason. text_out (CKPT_ADDRESS_MAX + 1 bytes)
 * has the address, with the port that was chosen for port 0. */
int control_listen(const char *where, char *text_out, char *reason);

#endif
