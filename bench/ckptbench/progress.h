/* SPDX-License-Identifier: Apache-2.0 */
/* One line on a terminal that says what is going on; nothing where standard error is no terminal.
 */
#ifndef CKPTBENCH_PROGRESS_H
#define CKPTBENCH_PROGRESS_H

void progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void progress_clear(void);

#endif
