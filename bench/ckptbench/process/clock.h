/* SPDX-License-Identifier: Apache-2.0 */
/* What is measured with base/clock.h. Any thread. */
#ifndef CKPTBENCH_CLOCK_H
#define CKPTBENCH_CLOCK_H

#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"

static inline double seconds_since(uint64_t start_ns)
{
    return (double)(clock_now_ns() - start_ns) / 1e9;
}

/* The CPU time that a process of ours has used, nanoseconds; 0 when that cannot be read. */
static inline uint64_t process_cpu_ns(pid_t pid)
{
    clockid_t clock;
    return clock_getcpuclockid(pid, &clock) == 0 ? clock_ns(clock) : 0;
}

/* 10^9 bytes a second; 0 when no time passed. */
static inline double gbps(uint64_t bytes, double seconds)
{
    return seconds > 0 ? (double)bytes / seconds / 1e9 : 0;
}

#endif
