/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: a tier while it is open. */
#ifndef CKPT_TIER_STATE_H
#define CKPT_TIER_STATE_H

#include <stdatomic.h>

#include "tier/backend.h"

/* What is asked of a medium at once, so that a pace is kept and a call can be ended. */
#define TIER_PUT_BYTES CKPT_CHUNK_BYTES
#define TIER_READ_BYTES (UINT64_C(64) << 20)

struct tier {
    struct tier_medium *medium;
    struct tier_options options;
    const struct digest_engine *engine;
    atomic_uint_fast64_t bytes_per_second; /* 0: no limit */
    uint64_t due_ns;                       /* when the next bytes may go */
};

#endif
