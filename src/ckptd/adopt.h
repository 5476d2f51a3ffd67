/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTD_ADOPT_H
#define CKPT_CKPTD_ADOPT_H

#include "ckptd/daemon.h"

/* Tells the machine, before any other event, of each slot record that the arena was found with, and
 * that this was all. What cannot be believed it hears of as corrupt. */
void adopt_all(struct daemon *d);

#endif
