/* SPDX-License-Identifier: Apache-2.0 */
/* How long a loop did not run.
 *
 * A machine asks its process to be advanced no later than a deadline. A process that was stopped,
 * swapped out, or that waited for its disk comes back later than that: for so long it neither spoke
 * nor listened, and a silence in that time is nobody's but its own. The machine is told by how much
 * (`late_ms` of its events), and its clock stands still for as long. */
#ifndef CKPT_BASE_LATENESS_H
#define CKPT_BASE_LATENESS_H

#include <stdint.h>

#define LATENESS_NEVER UINT64_MAX /* no deadline */

struct lateness {
    uint64_t due_ms;  /* the deadline of the last event; zeroed: none yet */
    uint64_t seen_ms; /* when the last event came */
};

/* An event comes at now_ms: by how much later than it was due, 0 when that is no more than
 * slack_ms. Nothing is counted twice. */
static inline uint64_t lateness_take(struct lateness *l, uint64_t now_ms, uint64_t slack_ms)
{
    uint64_t since_ms = l->due_ms > l->seen_ms ? l->due_ms : l->seen_ms;
    uint64_t late_ms = l->seen_ms == 0 || l->due_ms == LATENESS_NEVER || now_ms <= since_ms
                           ? 0
                           : now_ms - since_ms;
    l->seen_ms = now_ms;
    return late_ms > slack_ms ? late_ms : 0;
}

/* The machine wants to be advanced no later than due_ms. */
static inline void lateness_due(struct lateness *l, uint64_t due_ms)
{
    l->due_ms = due_ms;
}

#endif
