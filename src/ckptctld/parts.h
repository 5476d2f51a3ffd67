/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTCTLD_PARTS_H
#define CKPT_CKPTCTLD_PARTS_H

#include "daemon/part.h"

/* All that a coordinator is made of, in the order of its start. */
extern struct part *const ckptctld_parts[];

#endif
