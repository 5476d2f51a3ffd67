/* SPDX-License-Identifier: Apache-2.0 */
/* Who has the memory that an arena found too little of. */
#ifndef CKPT_CKPTD_SHORTAGE_H
#define CKPT_CKPTD_SHORTAGE_H

#include <stddef.h>

#include "arena/arena.h"

/* Logs each other arena beside the one of options, and writes what they are to text: "; there too:
 * /dev/shm/ckptd-n1 (8.00 GiB, used by nobody)"; nothing where there is none. */
void shortage_explain(const struct arena_options *options, char *text, size_t text_size);

#endif
