/* SPDX-License-Identifier: Apache-2.0 */
/* The rule that nothing old comes back: the last sequence that was taken from each incarnation,
 * over all its connections.
 *
 * Bounded: a table of sets of eight; a full set forgets the incarnation heard longest ago. What a
 * stranger can push out so is the memory of a sender that is not connected; a connection remembers
 * its own. O(1). One thread. */
#ifndef CKPT_SESSION_FILTER_H
#define CKPT_SESSION_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"
#include <ckpt/status.h>

struct session_filter;

/* For about `senders` incarnations. CKPT_ERR_MEMORY. */
enum ckpt_status session_filter_make(uint32_t senders, struct session_filter **filter_out);

/* Whether sequence is above the last of this incarnation; it is the last from now on then. */
bool session_filter_take(struct session_filter *filter, const struct incarnation *incarnation,
                         uint64_t sequence);

void session_filter_free(struct session_filter **filter);

#endif
