/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that are addresses. Each check: CKPT_ERR_CONFIG, with where the value is from and what is
 * wrong in reason (CKPT_REASON_MAX + 1 bytes). A key without a value is right. */
#ifndef CKPT_DAEMON_ADDRESS_KEY_H
#define CKPT_DAEMON_ADDRESS_KEY_H

#include "daemon/part.h"
#include "session/address.h"

/* Between nodes: a host and a port; a path is refused as `no_path` says. */
enum ckpt_status address_key_check_host(const struct config *config, const struct part *part,
                                        size_t key, enum address_use use, const char *no_path,
                                        char *reason);

/* Within a node: the path of a UNIX socket. */
enum ckpt_status address_key_check_path(const struct config *config, const struct part *part,
                                        size_t key, char *reason);

#endif
