/* SPDX-License-Identifier: Apache-2.0 */
/* What /sys and the sockets say of this node's network. */
#ifndef CKPT_CKPTCTL_DOCTOR_READ_NETWORK_H
#define CKPT_CKPTCTL_DOCTOR_READ_NETWORK_H

#include "ckptctl/doctor_network.h"

/* root is put in front of /sys and /dev: "" but in tests. */
void doctor_read_ports(const char *root, struct doctor_network *network);

/* The interface that listen is of; where that is every address, the one by which the coordinator is
 * reached. Sends nothing. */
void doctor_read_interface(const char *root, const struct doctor_settings *settings,
                           struct doctor_network *network);

#endif
