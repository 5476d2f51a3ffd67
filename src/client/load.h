/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: what was loaded. */
#ifndef CKPT_CLIENT_LOAD_H
#define CKPT_CLIENT_LOAD_H

#include "client/context.h"
#include "client/loan.h"

/* The whole shard that is lent becomes one that is loaded, and the loan its own; or it is given
 * back. CKPT_ERR_CORRUPT, CKPT_ERR_MEMORY. */
enum ckpt_status client_loaded_keep(struct ckpt *ckpt, struct client_loan *loan,
                                    struct ckpt_shard *shard_out);

/* Unmaps everything that was loaded. */
void client_loaded_clear(struct ckpt *ckpt);

#endif
