/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTD_IDENTITY_H
#define CKPT_CKPTD_IDENTITY_H

#include "ckptd/daemon.h"
#include "daemon/part.h"

/* Who this agent is: its node, what that fails together with, and this life of it. */
extern struct part part_identity;
enum identity_key { IDENTITY_NODE, IDENTITY_DOMAIN, IDENTITY_TOPOLOGY, IDENTITY_KEYS };

/* Finds the node and the domain that are not set, and puts them into the configuration.
 * CKPT_ERR_CONFIG, with a reason (CKPT_REASON_MAX + 1 bytes), where that is not possible. */
enum ckpt_status identity_derive(struct config *config, char *reason);

#endif
