/* SPDX-License-Identifier: Apache-2.0 */
/* What a mover is told when it is made. */
#ifndef CKPT_MOVER_OPTIONS_H
#define CKPT_MOVER_OPTIONS_H

#include <stdint.h>

struct rails;

struct mover_options {
    const struct rails *rails; /* what to open, and which ports are near which memory */
    const char *devices;       /* of transports that are not verbs; or NULL */
    uint32_t timeout_ms;
    uint32_t depth;       /* slices in flight; 0: what the transport likes */
    uint64_t slice_bytes; /* 0: what the transport likes; rounded to whole chunks */
    uint32_t spin_us;
    uint8_t traffic_class, service_level;
    uint64_t segment_bytes; /* of the arena that will come */
    uint32_t segment_count;
};

#endif
