/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the arena has its memory: judged from what was read. Pure. */
#ifndef CKPT_CKPTCTL_DOCTOR_MEMORY_H
#define CKPT_CKPTCTL_DOCTOR_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "ckptctl/doctor_settings.h"

enum doctor_place {
    DOCTOR_PLACE_MISSING,
    DOCTOR_PLACE_TMPFS,
    DOCTOR_PLACE_HUGETLBFS,
    DOCTOR_PLACE_OTHER
};

struct doctor_memory {
    bool is_held;        /* a running agent has the arena already */
    const char *whose;   /* limits these are: "ckptd, pid 7", "ckptd.service", "this shell" */
    bool is_unit;        /* of a unit of systemd */
    bool knows_lock;     /* the two below */
    bool locks_freely;   /* CAP_IPC_LOCK */
    uint64_t lock_bytes; /* UINT64_MAX: no limit */

    char directory[DOCTOR_TEXT_MAX + 1]; /* of the arena, by the agent's own rule */
    char mount[DOCTOR_TEXT_MAX + 1];     /* its file system, or where that would be */
    enum doctor_place place;
    uint64_t size_bytes, free_bytes; /* of the file system; size 0: no limit */
    bool is_there;                   /* the arena's directory */
    bool knows_present;              /* what is in it */
    uint64_t present_bytes;

    uint64_t free_huge_pages, huge_pages; /* of 2 MiB */
    bool has_hugetlbfs;
    char shmem_enabled[16]; /* "": not known */
    char tmpfs_huge[16];    /* of the mount; "": never */

    uint64_t available_bytes; /* of the machine; 0: not known */
    bool is_limited;          /* by a control group: the rest of this */
    uint64_t limit_bytes, left_bytes;
    char limit_file[512];
};

/* is_pinned: what the NIC is to read has to be registered, which counts as locked. */
void doctor_judge_lock(const struct doctor_settings *settings, const struct doctor_memory *memory,
                       bool is_pinned, struct findings *findings);
void doctor_judge_huge_pages(const struct doctor_settings *settings,
                             const struct doctor_memory *memory, struct findings *findings);
void doctor_judge_room(const struct doctor_settings *settings, const struct doctor_memory *memory,
                       struct findings *findings);
void doctor_judge_group(const struct doctor_settings *settings, const struct doctor_memory *memory,
                        struct findings *findings);

#endif
