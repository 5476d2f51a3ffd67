/* SPDX-License-Identifier: Apache-2.0 */
/* One ckptctld as a process, given by its path, and what it costs. */
#ifndef CKPTBENCH_REAL_COORDINATOR_H
#define CKPTBENCH_REAL_COORDINATOR_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include <ckpt/status.h>

struct real_coordinator_options {
    const char *path;
    const char *directory; /* exists; of this one alone */
    uint32_t keep;
    uint32_t agents_max; /* 0: its default tables */
    uint32_t shards_max;
};

struct real_coordinator {
    pid_t pid;
    char address[128];
    char log[PATH_MAX];
};

/* Starts it and waits until it listens. On failure reason (CKPT_REASON_MAX + 1 bytes) says what,
 * with the last line of its log. By the main thread. */
enum ckpt_status real_coordinator_start(const struct real_coordinator_options *options,
                                        struct real_coordinator *coordinator_out, char *reason);

/* Ends it, and waits for that. */
void real_coordinator_end(struct real_coordinator *coordinator);

/* Resident memory, MiB; 0: not known. */
double real_coordinator_rss_mib(const struct real_coordinator *coordinator);

#endif
