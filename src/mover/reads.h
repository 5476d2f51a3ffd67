/* SPDX-License-Identifier: Apache-2.0 */
/* Reads under way, whatever feeds them: which slice is issued next, and what becomes of those that
 * have landed. */
#ifndef CKPT_MOVER_READS_H
#define CKPT_MOVER_READS_H

#include "mover/state.h"

struct transport_completion;
struct work;

/* Room for m->depth slices in flight; CKPT_ERR_MEMORY. */
enum ckpt_status mover_reads_make(struct mover *m);

/* Takes the caller's hold. */
void mover_reads_begin(struct mover *m, struct work *work);
void mover_reads_cancel(struct mover *m, uint64_t number);

/* The source is gone: its reads must not connect to it again by themselves. */
void mover_reads_link_down(struct mover *m, uint32_t link);

/* Fills the window, one slice of each read in turn; while held, of those alone that a rank waits
 * for. */
void mover_reads_issue(struct mover *m, bool held);

/* A slice has landed, or failed. */
void mover_reads_landed(struct mover *m, const struct transport_completion *done);

/* Closes the transport: everything fails. */
void mover_reads_end(struct mover *m);

#endif
