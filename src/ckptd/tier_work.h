/* SPDX-License-Identifier: Apache-2.0 */
/* Works of the machine for the tier. */
#ifndef CKPT_CKPTD_TIER_WORK_H
#define CKPT_CKPTD_TIER_WORK_H

#include "ckptd/daemon.h"

/* Gives it to the tier's thread: its end is an event of the machine. */
void tier_begin(struct daemon *d, const struct agent_work *work);

#endif
