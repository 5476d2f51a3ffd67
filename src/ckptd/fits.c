/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/fits.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"

#define KEEP 2

static int add_size(char *text, size_t size, uint64_t bytes)
{
    uint64_t unit = bytes >= 10 * CKPT_GIB ? CKPT_GIB : bytes >= CKPT_MIB ? CKPT_MIB : CKPT_KIB;
    return snprintf(text, size, " of %" PRIu64 "%s", bytes / unit,
                    unit == CKPT_GIB   ? "GiB"
                    : unit == CKPT_MIB ? "MiB"
                                       : "KiB");
}

void fits_text(const struct room_kind *kind, uint32_t segments, uint32_t copies,
               char text_out[FITS_TEXT_BYTES])
{
    int at = 0;
    struct room_plan plan = {.keep = KEEP, .copies = copies, .nodes = copies + 1};
    for (plan.ranks = 1; plan.ranks <= 8; plan.ranks *= 2) {
        uint64_t bytes = room_largest_shard(kind, segments, &plan);
        at += snprintf(text_out + at, (size_t)(FITS_TEXT_BYTES - at), "%s%" PRIu32 "%s",
                       plan.ranks == 1 ? "" : ", ", plan.ranks, plan.ranks == 1 ? " rank" : "");
        at += bytes == 0 ? snprintf(text_out + at, (size_t)(FITS_TEXT_BYTES - at), " of none")
                         : add_size(text_out + at, (size_t)(FITS_TEXT_BYTES - at), bytes);
    }
    (void)snprintf(text_out + at, (size_t)(FITS_TEXT_BYTES - at),
                   " (keep %d, copies %" PRIu32 ", nodes %" PRIu32 ")", KEEP, copies, plan.nodes);
}
