/* SPDX-License-Identifier: Apache-2.0 */
/* For how many ranks of which size an arena is good, in words. */
#ifndef CKPT_CKPTD_FITS_H
#define CKPT_CKPTD_FITS_H

#include <stdint.h>

#include "base/room.h"

#define FITS_TEXT_BYTES 192

/* "1 rank of 256MiB, 2 of 128MiB, ... (keep 2, 2 copies, 3 nodes)": by the formula of ckptctl plan,
 * with its default of keep, which is the coordinator's to set, and of nodes. */
void fits_text(const struct room_kind *kind, uint32_t segments, uint32_t copies,
               char text_out[FITS_TEXT_BYTES]);

#endif
