/* SPDX-License-Identifier: Apache-2.0 */
/* How far a long verb is: one line on standard error, drawn again and again, with the time that has
 * passed since the first. On a terminal only, and never beside --json: what is kept in a file has
 * no use for it. */
#ifndef CKPT_CKPTCTL_PROGRESS_H
#define CKPT_CKPTCTL_PROGRESS_H

#include "ckptctl/ctl.h"

/* Shows the line, or another in its place: "3 of 8 ranks". It is drawn again each second, so that a
 * call that takes long is seen to be waited for. Any thread. */
void progress_show(const struct ctl *ctl, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Takes the line off the screen, so that something else can be printed; the next progress_show
 * draws it anew. complain() does this by itself. */
void progress_clear(void);

#endif
