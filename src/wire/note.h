/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine wants a person to see; it never crosses a wire, but both machines speak it. */
#ifndef CKPT_WIRE_NOTE_H
#define CKPT_WIRE_NOTE_H

#include "base/event.h"
#include "wire/message.h"

/* Something a person must be able to see: one log line, and a counter by its event name. */
struct machine_note {
    enum event_id event;
    struct run_key run;
    bool has_shard;
    uint32_t attempt;
    uint64_t step;
    uint32_t rank;
    char node[CKPT_NODE_NAME_MAX + 1];
    char text[CKPT_REASON_MAX + 1];
};

#endif
