/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of CUDA and NCCL: whose context, and what an error is to a person. */
#include "fanout/nccl_call.h"

#include "base/reason.h"

enum ckpt_status nccl_say_cuda(const struct nccl *n, int error, const char *what, char *reason)
{
    const char *text = NULL;
    if (n->lib.cuGetErrorString(error, &text) != CUDA_OK || text == NULL) {
        text = "an unknown error";
    }
    return reason_refuse(reason, CKPT_ERR_SYSTEM, "fan-out: NCCL: %s: CUDA: %.120s (%d)", what,
                         text, error);
}

enum ckpt_status nccl_say_nccl(const struct nccl *n, int error, const char *what, char *reason)
{
    return reason_refuse(reason, CKPT_ERR_LINK, "fan-out: NCCL: %s: %.150s (%d)", what,
                         n->lib.ncclGetErrorString(error), error);
}

enum ckpt_status nccl_enter(const struct nccl *n, char *reason)
{
    int error = n->lib.cuCtxPushCurrent_v2(n->context);
    return error == CUDA_OK ? CKPT_OK : nccl_say_cuda(n, error, "the GPU's context", reason);
}

void nccl_leave(const struct nccl *n)
{
    void *context;
    (void)n->lib.cuCtxPopCurrent_v2(&context);
}

enum ckpt_status nccl_progress(const struct nccl *n, const char *what, char *reason)
{
    int state = NCCL_OK;
    int error = n->lib.ncclCommGetAsyncError(n->comm, &state);
    if (error == NCCL_OK && state == NCCL_IN_PROGRESS) {
        return CKPT_ERR_BUSY;
    }
    error = error != NCCL_OK ? error : state;
    return error == NCCL_OK ? CKPT_OK : nccl_say_nccl(n, error, what, reason);
}
