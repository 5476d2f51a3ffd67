/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/pace.h"

#include "base/clock.h"
#include "base/reason.h"

#define SECOND_NS UINT64_C(1000000000)
#define NAP_NS (SECOND_NS / 20) /* so soon is a call ended, or another pace kept */

enum ckpt_status pace_ask(struct tier *tier, char *reason_out)
{
    if (tier->options.proceed != NULL && !tier->options.proceed(tier->options.context)) {
        return reason_refuse(reason_out, CKPT_ERR_ABORTED, "the tier's work was called off");
    }
    return CKPT_OK;
}

enum ckpt_status pace_wait(struct tier *tier, size_t bytes, char *reason_out)
{
    enum ckpt_status status = pace_ask(tier, reason_out);
    while (status == CKPT_OK) {
        uint64_t now_ns = clock_now_ns();
        uint64_t pace = atomic_load_explicit(&tier->bytes_per_second, memory_order_relaxed);
        if (pace == 0 || now_ns >= tier->due_ns) {
            uint64_t cost_ns =
                pace == 0 ? 0 : (uint64_t)((double)bytes / (double)pace * (double)SECOND_NS);
            tier->due_ns = now_ns + cost_ns;
            return CKPT_OK;
        }
        uint64_t wait_ns = tier->due_ns - now_ns;
        struct timespec nap = {.tv_nsec = (long)(wait_ns < NAP_NS ? wait_ns : NAP_NS)};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
        status = pace_ask(tier, reason_out);
    }
    return status;
}
