/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTCTLD_ACT_H
#define CKPT_CKPTCTLD_ACT_H

#include "ckptctld/daemon.h"

/* Does what the daemon's update says beyond its records, which are durable: messages, then notes.
 * One that steps down says nothing more to anybody. */
void act_on_update(struct daemon *daemon);

#endif
