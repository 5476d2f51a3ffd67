/* SPDX-License-Identifier: Apache-2.0 */
/* Every event that the daemons log, by name. Its level, what it means and what to do about it stand
 * in events_*.def, of which docs/events.md is made (scripts/events.py). */
#ifndef CKPT_BASE_EVENT_H
#define CKPT_BASE_EVENT_H

/* A contract: alerts are set on it. */
enum log_level {
    LOG_LEVEL_ERROR, /* a person must act, now: something is lost, or no save will be consistent */
    LOG_LEVEL_WARN,  /* a person should look soon; it may heal by itself */
    LOG_LEVEL_INFO,  /* as it should be: a few lines a checkpoint */
    LOG_LEVEL_DEBUG, /* a line a connection or a message */
};

enum event_id {
#define EVENT_ENTRY(name, level, meaning, remedy) EVENT_##name,
#include "base/events_ckptctld.def"
#include "base/events_ckptd.def"
#include "base/events_transport.def"
#include "base/events_both.def"
#include "base/events_replicator.def"
#undef EVENT_ENTRY
    EVENT_COUNT
};

/* As it is printed; a string that lives for ever. */
const char *event_name(enum event_id event);
enum log_level event_level(enum event_id event);

#endif
