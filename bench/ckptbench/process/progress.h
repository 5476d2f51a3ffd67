/* SPDX-License-Identifier: Apache-2.0 */
/* One line on a terminal that says what is going on;
 * nothing where standard error is no terminal. */
#ifndef CKPTBENCH_PROGRESS_H
#define CKPTBENCH_PROGRESS_H

#include <stdint.h>

void progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, when `done` of `all` equal parts of the work are done: with the time that has passed
 * since the first such line, and about what is left by that. */
void progress_part(uint64_t done, uint64_t all, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void progress_clear(void);

#endif
