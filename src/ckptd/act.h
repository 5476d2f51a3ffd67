/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTD_ACT_H
#define CKPT_CKPTD_ACT_H

#include "ckptd/daemon.h"

/* Does what an update of the machine says: records, work, messages, notes, in that order. Where a
 * record cannot be stored nothing is said, and the daemon is broken. */
void act_on_update(struct daemon *d, const struct agent_update *update);

#endif
