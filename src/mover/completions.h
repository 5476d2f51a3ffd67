/* SPDX-License-Identifier: Apache-2.0 */
/* What the other threads tell the loop: works that are finished, or handed back, and offers whose
 * regions have been filled in. Any thread posts; the loop takes when the descriptor is readable. */
#ifndef CKPT_MOVER_COMPLETIONS_H
#define CKPT_MOVER_COMPLETIONS_H

#include "mover/offer.h"
#include "mover/work.h"

struct completions;

enum ckpt_status completions_make(struct completions **completions_out);

/* Frees what was not taken, too. Nulls *completions; NULL is let be. */
void completions_free(struct completions **completions);

int completions_fd(const struct completions *completions);

/* A work_finished, with the completions as its context. */
void completions_post_work(void *completions, struct work *work);
void completions_post_offer(struct completions *completions, struct offer_reply *offer);

/* Takes everything, in the order of posting; the lists are the caller's. Also clears the
 * descriptor. */
void completions_take(struct completions *completions, struct work **works_out,
                      struct offer_reply **offers_out);

#endif
