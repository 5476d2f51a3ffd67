/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/copy.h"

#include <pthread.h>
#include <string.h>

#include "process/clock.h"

#define THREADS_MAX 64

struct part {
    uint8_t *to;
    const uint8_t *from;
    size_t bytes;
};

static void *copy_part(void *context)
{
    const struct part *part = context;
    memcpy(part->to, part->from, part->bytes);
    return NULL;
}

enum ckpt_status copy_measure(uint8_t *to, const uint8_t *from, size_t bytes, uint32_t threads,
                              double *seconds_out)
{
    pthread_t ids[THREADS_MAX];
    struct part parts[THREADS_MAX];
    enum ckpt_status status = CKPT_OK;
    uint32_t started = 1;
    if (threads == 0 || threads > THREADS_MAX) {
        return CKPT_ERR_INVALID;
    }
    for (uint32_t i = 0; i < threads; i++) {
        size_t first = bytes / threads * i;
        size_t end = i + 1 == threads ? bytes : bytes / threads * (i + 1);
        parts[i] = (struct part){.to = to + first, .from = from + first, .bytes = end - first};
    }
    uint64_t start = clock_now_ns();
    for (; started < threads && status == CKPT_OK; started++) {
        if (pthread_create(&ids[started], NULL, copy_part, &parts[started]) != 0) {
            status = CKPT_ERR_SYSTEM;
            break;
        }
    }
    copy_part(&parts[0]);
    for (uint32_t i = 1; i < started; i++) {
        pthread_join(ids[i], NULL);
    }
    *seconds_out = seconds_since(start);
    return status;
}
