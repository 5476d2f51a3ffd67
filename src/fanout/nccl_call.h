/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of CUDA and NCCL: whose context, and what an error is to a person. */
#ifndef CKPT_FANOUT_NCCL_CALL_H
#define CKPT_FANOUT_NCCL_CALL_H

#include "fanout/nccl_state.h"

/* CKPT_ERR_SYSTEM, and CKPT_ERR_LINK, with the reason. */
enum ckpt_status nccl_say_cuda(const struct nccl *n, int error, const char *what, char *reason);
enum ckpt_status nccl_say_nccl(const struct nccl *n, int error, const char *what, char *reason);
/* Calls of CUDA are about the context that is current; the caller's comes back by leave. */
enum ckpt_status nccl_enter(const struct nccl *n, char *reason);
void nccl_leave(const struct nccl *n);
/* Where NCCL is with what it was last told: CKPT_ERR_BUSY while it is at it. */
enum ckpt_status nccl_progress(const struct nccl *n, const char *what, char *reason);

#endif
