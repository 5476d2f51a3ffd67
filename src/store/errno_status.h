/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_STORE_ERRNO_STATUS_H
#define CKPT_STORE_ERRNO_STATUS_H

#include <ckpt/status.h>

/* CKPT_ERR_FULL for an errno that says that there is no room, CKPT_ERR_SYSTEM for others. */
enum ckpt_status store_errno_status(int error);

#endif
