/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTD_FINISHED_H
#define CKPT_CKPTD_FINISHED_H

#include "daemon/part.h"

/* What the threads have finished: works for the machine to hear of, offers for peers. What they
 * hand back goes on. */
extern struct part part_finished;

#endif
