/* SPDX-License-Identifier: Apache-2.0 */
/* How busy the machine is with what is not ours: a number that was measured beside other work is
 * too low. By /proc: the CPU time of all processes less that of this one and its descendants, and
 * what a hypervisor took. One thread. */
#ifndef CKPTBENCH_BUSY_H
#define CKPTBENCH_BUSY_H

#include <stdbool.h>

struct busy {
    double load;   /* of the last minute, before; -1: not known */
    double before; /* cores that others kept busy for a moment before; -1: not known */
    double during; /* cores, on average while it was measured; -1: not known */
};

/* Before measuring: looks for a quarter of a second. What is busy then is warned of. */
void busy_begin(void);

/* After it. */
struct busy busy_end(void);

/* Whether so many of the machine's cores are too many for a number to be believed. */
bool busy_is_much(double cores);

#endif
