/* SPDX-License-Identifier: Apache-2.0 */
/* The folder that a JAX job and its replicator share, with the names of Orbax's contract:
 *
 *     replicator.yaml      the job's order; removed once it is carried out
 *     replicator.errors    from us: what went wrong and may heal; Orbax logs and removes it
 *     replicator.failed    from us: what ends the job's start
 *     STEP/                a step that Orbax has written, renamed into place when complete
 *     JOB-sSTEP-nNODE-w0.restore   from us: a folder that Orbax renames to STEP; as an empty file
 *                          of step 0: there is nothing to restore
 *     .ckptd-*             ours, on the way
 *
 * All names are below one descriptor; no link is followed. Functions block for the file system. */
#ifndef CKPT_REPLICATOR_FOLDER_H
#define CKPT_REPLICATOR_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ckpt/status.h>

#include "order.h"

#define FOLDER_PART ".ckptd-restore" /* a restore on its way */

/* The order's text, to be freed by the caller; NULL: there is none. */
char *folder_read_order(int folder, size_t *bytes_out);

/* The order is carried out, or refused. Another that came meanwhile is left: *text is what was
 * read. */
void folder_remove_order(int folder, const char *text, size_t bytes);

/* One line for Orbax to read, in place of what was there. */
void folder_tell(int folder, bool is_fatal, const char *line);

/* The smallest step above `above` of those that are complete; false: there is none. */
bool folder_next_step(int folder, uint64_t above, uint64_t *step_out);

/* Removes every step for which there is a newer one at the others, or none: above `above`, and
 * `step` itself. Returns how many. */
uint32_t folder_drop_steps(int folder, uint64_t above, uint64_t step);

/* Gives the job what FOLDER_PART holds as this step, or, with step 0 and nothing held, the word
 * that there is nothing. CKPT_ERR_SYSTEM, with a reason. */
enum ckpt_status folder_offer(int folder, const struct order *order, uint64_t step, bool is_empty,
                              char *reason);

/* Removes a tree of this name in the folder; what is not there is removed. */
void folder_remove_tree(int folder, const char *name);

#endif
