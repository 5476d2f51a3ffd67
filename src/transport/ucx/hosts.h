/* SPDX-License-Identifier: Apache-2.0 */
/* Where a UCX transport listens: the payload of its address. */
#ifndef CKPT_TRANSPORT_UCX_HOSTS_H
#define CKPT_TRANSPORT_UCX_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <ckpt/status.h>

#define HOSTS_MAX 8
#define HOSTS_BOOT_BYTES 16
#define HOSTS_BYTES_MAX (HOSTS_BOOT_BYTES + 3 + HOSTS_MAX * 17)

struct host {
    uint8_t family;    /* 4 or 6 */
    uint8_t bytes[16]; /* network order; the first 4 count when family is 4 */
};

struct hosts {
    uint8_t boot[HOSTS_BOOT_BYTES]; /* names the machine's present boot */
    uint16_t port;
    uint8_t count;
    struct host entries[HOSTS_MAX];
};

/* The addresses of this machine's interfaces that are up, IPv4 if there is any, else IPv6 but no
 * link-local ones. devices is a comma list of interfaces to keep; when it names none of them (RDMA
 * devices have other names) or is NULL, all are kept. port is left alone.
 * RETURN VALUE
 *   CKPT_ERR_SYSTEM   no address at all, or the kernel does not list them. */
enum ckpt_status hosts_of_this_machine(const char *devices, struct hosts *hosts_out);

/* Whether the devices, or all that have an address when that is NULL, cannot do without a bridge:
 * it is named, or there is nothing else but the loopback. */
bool hosts_are_on_bridges(const char *devices);

/* Pure. May leave none. */
void hosts_leave_out_loopback(struct hosts *hosts);

/* Pure. out has room for HOSTS_BYTES_MAX; returns the bytes used. */
size_t hosts_encode(const struct hosts *hosts, uint8_t *out);

/* Pure. CKPT_ERR_PROTOCOL when the bytes are no such list, or one without entries. */
enum ckpt_status hosts_decode(const uint8_t *bytes, size_t count, struct hosts *hosts_out);

/* The address of peer to connect to: a loopback address when it is on this machine, else one in a
 * subnet of own, else the first that is not loopback.
 * Returns its length, or 0 when there is none. */
socklen_t hosts_choose(const struct hosts *peer, const struct hosts *own,
                       struct sockaddr_storage *address_out);

/* The address to listen at: the only entry, or any of its family. */
socklen_t hosts_listen_address(const struct hosts *own, struct sockaddr_storage *address_out);

#endif
