/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: UCX's settings for how this library is used. */
#ifndef CKPT_TRANSPORT_UCX_SETTINGS_H
#define CKPT_TRANSPORT_UCX_SETTINGS_H

#include "transport/ucx/ucx.h"

/* Parts are those in use, of enum ucx_part. */
void ucx_settings_apply(ucp_config_t *config, unsigned parts);

/* Whether a line of UCX's log tells that settings had no effect; then each of them was logged. */
bool ucx_settings_ignored(const char *text);

/* Whether the library that runs is of 1.MINOR or later. */
bool ucx_is_since(unsigned minor);

#endif
