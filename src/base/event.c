/* SPDX-License-Identifier: Apache-2.0 */
#include "base/event.h"

static const struct {
    const char *name;
    enum log_level level;
} table[EVENT_COUNT] = {
#define EVENT_ENTRY(name, level, meaning, remedy) {#name, LOG_LEVEL_##level},
#include "base/events_ckptctld.def"
#include "base/events_ckptd.def"
#include "base/events_transport.def"
#include "base/events_both.def"
#include "base/events_replicator.def"
#undef EVENT_ENTRY
};

const char *event_name(enum event_id event)
{
    return table[event].name;
}

enum log_level event_level(enum event_id event)
{
    return table[event].level;
}
