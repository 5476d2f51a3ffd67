/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong is said on standard error. */
#ifndef CKPTBENCH_COMPLAIN_H
#define CKPTBENCH_COMPLAIN_H

/* Prints "ckptbench: " and the line to standard error, on a line of its own. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
