/* SPDX-License-Identifier: Apache-2.0 */
/* A program that one person waits for may sleep. */
#ifndef CKPT_CKPTCTL_PAUSE_H
#define CKPT_CKPTCTL_PAUSE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Sleeps so long, or until a signal. */
static inline void pause_ms(uint32_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

#endif
