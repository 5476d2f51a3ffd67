/* SPDX-License-Identifier: Apache-2.0 */
/* What ckptctl's import wants to know of a run before it becomes its ranks. Not of libckpt's
 * interface: a trainer opens with attempt 0, and the coordinator judges. */
#ifndef CKPT_CLIENT_LOOK_H
#define CKPT_CLIENT_LOOK_H

#include <ckpt/ckpt.h>

struct client_run {
    bool has_latest; /* there is a consistent checkpoint: */
    uint64_t latest;
    uint32_t latest_attempt;
    uint32_t attempt; /* of the newest start; 0: none, or the coordinator is of a release that does
                       * not say */
    uint32_t live;    /* ranks that are connected somewhere */
};

/* Asks the coordinator through the agent of a context, which may be a reader's. A run that nobody
 * knows is CKPT_OK, with nothing in it.
 *
 * ERRORS
 * As ckpt_info(). */
enum ckpt_status client_run_look(struct ckpt *ckpt, struct client_run *run_out);

#endif
