/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_TRANSPORT_VERBS_GID_H
#define CKPT_TRANSPORT_VERBS_GID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <infiniband/verbs.h>

/* Which entry of a device's table of addresses a port is used by: RoCE v2, of a network interface,
 * not link-local (a peer's link-local address says nothing about which of our ports leads to it);
 * IPv4 before IPv6, since peers must have the same family and most have IPv4; else the first, which
 * is the oldest. False when there is none. Pure. */
bool verbs_gid_choose(const struct ibv_gid_entry *entries, size_t count, uint8_t port,
                      struct ibv_gid_entry *entry_out);

#endif
