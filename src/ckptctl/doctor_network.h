/* SPDX-License-Identifier: Apache-2.0 */
/* Whether bytes have a fast way out of this node: judged from what was read. Pure. */
#ifndef CKPT_CKPTCTL_DOCTOR_NETWORK_H
#define CKPT_CKPTCTL_DOCTOR_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ckptctl/doctor_settings.h"

#define DOCTOR_PORTS_MAX 64

/* A port of an RDMA device. */
struct doctor_port {
    char device[64];
    uint32_t number;
    bool is_up;
    bool is_infiniband; /* its link layer; else Ethernet */
    bool has_address;   /* RoCE v2, of a network interface, not link-local */
    char interface[32]; /* "": not known */
    uint32_t mtu;       /* of it; 0: not known */
};

struct doctor_network {
    size_t port_count;
    struct doctor_port ports[DOCTOR_PORTS_MAX];
    size_t user_devices; /* /dev/infiniband/uverbs* */
    /* By which the coordinator and peers are talked to; "": not known. */
    char interface[32];
    uint32_t mtu;
};

/* Whether the transport registers memory with RDMA devices. */
bool doctor_is_pinned(const struct doctor_settings *settings, const struct doctor_network *network);

void doctor_judge_network(const struct doctor_settings *settings,
                          const struct doctor_network *network, struct findings *findings);

#endif
