/* SPDX-License-Identifier: Apache-2.0 */
/* The bound of a whole call, on the monotonic clock. */
#ifndef CKPT_CLIENT_DEADLINE_H
#define CKPT_CLIENT_DEADLINE_H

#include <stdint.h>

#include "base/clock.h"

struct deadline {
    int64_t at_ns; /* of CLOCK_MONOTONIC */
};

static inline int64_t deadline_now_ns(void)
{
    return (int64_t)clock_now_ns();
}

static inline struct deadline deadline_after_ms(uint32_t ms)
{
    return (struct deadline){deadline_now_ns() + (int64_t)ms * 1000000};
}

/* What is left, for poll(): rounded up, so that a poll that ends early is not asked for; 0 when it
 * has passed. */
static inline int deadline_left_ms(struct deadline deadline)
{
    int64_t left_ns = deadline.at_ns - deadline_now_ns();
    if (left_ns <= 0) {
        return 0;
    }
    int64_t left_ms = (left_ns + 999999) / 1000000;
    return left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

/* The earlier of the deadline and so many milliseconds from now. */
static inline struct deadline deadline_within_ms(struct deadline deadline, uint32_t ms)
{
    struct deadline other = deadline_after_ms(ms);
    return other.at_ns < deadline.at_ns ? other : deadline;
}

#endif
