/* SPDX-License-Identifier: Apache-2.0 */
/* What the control groups of this process leave it of memory. */
#ifndef CKPT_ARENA_CGROUP_H
#define CKPT_ARENA_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

struct cgroup_memory {
    uint64_t limit, left; /* bytes; what the kernel can take back counts as left */
    char file[512];       /* that sets the limit */
};

/* The tightest limit of this process's group and those above it, version 1 or 2; memory.high counts
 * as one, since a process whose memory cannot be taken back does not get past it. root is put in
 * front of /proc and of the mount points: "" but in tests. False when there is no limit, or none
 * that can be seen. */
bool cgroup_memory(const char *root, struct cgroup_memory *memory_out);

/* The same of another process, by its number as text, or "self". */
bool cgroup_memory_of(const char *root, const char *process, struct cgroup_memory *memory_out);

#endif
