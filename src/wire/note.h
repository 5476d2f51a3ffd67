/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine wants a person to see; it never crosses a wire, but both machines speak it. */
#ifndef CKPT_WIRE_NOTE_H
#define CKPT_WIRE_NOTE_H

#include "wire/message.h"

enum note_level { NOTE_INFO = 1, NOTE_WARNING, NOTE_ERROR };

/* Something a person must be able to see: one log line, and a counter by its event name. */
struct machine_note {
    enum note_level level;
    const char *event; /* static text, snake_case: "commit", "agent_lost", "digest_mismatch", ... */
    struct run_key run;
    bool has_shard;
    uint32_t attempt;
    uint64_t step;
    uint32_t rank;
    char node[CKPT_NODE_NAME_MAX + 1];
    char text[CKPT_REASON_MAX + 1];
};

#endif
