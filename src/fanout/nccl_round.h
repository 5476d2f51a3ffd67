/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds of pieces: through NCCL, stage by stage. */
#ifndef CKPT_FANOUT_NCCL_ROUND_H
#define CKPT_FANOUT_NCCL_ROUND_H

#include "fanout/nccl_state.h"

/* All rounds as far as they go; a later one is put on the stream behind an earlier one. */
enum ckpt_status nccl_rounds_advance(struct nccl *n, char *reason);
/* What has come in a round that is done, from pinned memory to its place. */
void nccl_round_land(const struct nccl *n, const struct nccl_round *round);

#endif
