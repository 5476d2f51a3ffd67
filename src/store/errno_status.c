/* SPDX-License-Identifier: Apache-2.0 */
#include "store/errno_status.h"

#include <errno.h>

enum ckpt_status store_errno_status(int error)
{
    /* RLIMIT_FSIZE's error counts too: it can be raised from outside. */
    return error == ENOSPC || error == EDQUOT || error == EFBIG ? CKPT_ERR_FULL : CKPT_ERR_SYSTEM;
}
