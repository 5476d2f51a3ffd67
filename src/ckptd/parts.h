/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTD_PARTS_H
#define CKPT_CKPTD_PARTS_H

#include "daemon/part.h"

/* All that an agent is made of, in the order of its start.
 *
 * What can be refused at once comes first: addresses and transport are taken before any memory is,
 * so that a second agent, or one that is set up wrong, costs the node nothing. */
extern struct part *const ckptd_parts[];

#endif
