/* SPDX-License-Identifier: Apache-2.0 */
/* What time it is. The pure machines never ask: an event tells them. Any thread. */
#ifndef CKPT_BASE_CLOCK_H
#define CKPT_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t which)
{
    struct timespec now = {0};
    (void)clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* For what is measured and waited for: never goes back, and says nothing of the date. */
static inline uint64_t clock_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static inline uint64_t clock_now_ms(void)
{
    return clock_now_ns() / UINT64_C(1000000);
}

/* Since 1970, for what people read and what outlives a boot. */
static inline uint64_t clock_wall_ms(void)
{
    return clock_ns(CLOCK_REALTIME) / UINT64_C(1000000);
}

#endif
