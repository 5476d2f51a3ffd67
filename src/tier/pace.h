/* SPDX-License-Identifier: Apache-2.0 */
/* When the next block may go. */
#ifndef CKPT_TIER_PACE_H
#define CKPT_TIER_PACE_H

#include "tier/state.h"

/* Whether the caller goes on at all. CKPT_ERR_ABORTED. */
enum ckpt_status pace_ask(struct tier *tier, char *reason_out);

/* The same, and waits until the pace has room for so many bytes more. */
enum ckpt_status pace_wait(struct tier *tier, size_t bytes, char *reason_out);

#endif
