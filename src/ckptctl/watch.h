/* SPDX-License-Identifier: Apache-2.0 */
/* --watch: a verb again and again, until Ctrl-C. */
#ifndef CKPT_CKPTCTL_WATCH_H
#define CKPT_CKPTCTL_WATCH_H

#include "ckptctl/ctl.h"

/* Runs the verb each `seconds`. On a terminal each answer takes the place of the last, cut to the
 * screen; elsewhere one follows another, each below a line with the time, or as a JSON document.
 * What goes wrong, such as a coordinator that is away, is shown in the answer's place and does not
 * end it. SIGINT and SIGTERM end the program with EXIT_DONE at once, whatever hangs.
 *
 * RETURN VALUE
 * EXIT_USAGE when the verb refused its words, EXIT_NO when the output cannot be written. */
enum exit_code watch(const struct verb *verb, struct ctl *ctl, uint32_t seconds);

#endif
