/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: UCX's context. */
#ifndef CKPT_TRANSPORT_UCX_CONFIGURE_H
#define CKPT_TRANSPORT_UCX_CONFIGURE_H

#include "transport/ucx/ucx.h"

/* Mode is what follows "ucx:", or NULL. */
enum ckpt_status ucx_context_open(const char *mode, const char *devices, struct ucx *u);
enum ckpt_status ucx_status(ucs_status_t status);

#endif
