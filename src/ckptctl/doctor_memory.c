/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/doctor_memory.h"

#include <inttypes.h>
#include <string.h>

#include "ckptctl/text.h"

#define HUGE_PAGE_BYTES (2 * CKPT_MIB)
#define HUGE_PAGES_OF_INDEX 18 /* the most, and the rounding */
/* What the agent takes beside the arena. */
#define OTHER_BYTES (32 * CKPT_MIB)
#define DROP_IN                                                                                    \
    "mkdir -p /etc/systemd/system/ckptd.service.d && printf '[Service]\\n%s=infinity\\n' > "       \
    "/etc/systemd/system/ckptd.service.d/%s.conf && systemctl daemon-reload && systemctl "         \
    "restart ckptd"

static void fix_unit(struct findings *findings, const char *setting, const char *name)
{
    findings_fix(findings, DROP_IN, setting, name);
}

/* Whether the arena lies in hugetlbfs, or has to. */
static bool is_huge(const struct doctor_settings *settings, const struct doctor_memory *memory)
{
    return memory->place == DOCTOR_PLACE_HUGETLBFS ||
           (strcmp(settings->huge_pages, "require") == 0 && settings->arena_directory[0] == '\0');
}

/* What the agent still has to take. */
static uint64_t missing_bytes(const struct doctor_settings *settings,
                              const struct doctor_memory *memory)
{
    if (memory->is_held || memory->present_bytes >= settings->arena_bytes) {
        return 0;
    }
    return settings->arena_bytes - memory->present_bytes;
}

void doctor_judge_lock(const struct doctor_settings *settings, const struct doctor_memory *memory,
                       bool is_pinned, struct findings *findings)
{
    /* One more segment than there are, for one that is made anew. */
    uint64_t need = settings->arena_bytes + settings->segment_bytes;
    bool is_locked = strcmp(settings->lock, "off") != 0 && !is_huge(settings, memory);
    if (!is_locked && !is_pinned) {
        findings_add(findings, FINDING_OK, "memlock", "nothing of the arena has to be locked");
    } else if (!memory->knows_lock) {
        findings_add(findings, FINDING_UNKNOWN, "memlock", "the limit of %s cannot be read",
                     memory->whose);
    } else if (memory->locks_freely || memory->lock_bytes == UINT64_MAX) {
        findings_add(findings, FINDING_OK, "memlock", "%s may lock any memory", memory->whose);
    } else if (memory->lock_bytes >= need) {
        findings_add(findings, FINDING_OK, "memlock", "%s may lock %s, the arena is %s",
                     memory->whose, SIZE_TEXT(memory->lock_bytes),
                     SIZE_TEXT(settings->arena_bytes));
    } else {
        bool is_wrong = is_pinned || strcmp(settings->lock, "require") == 0;
        findings_add(findings, is_wrong ? FINDING_WRONG : FINDING_WARNING, "memlock",
                     "%s may lock %s, the arena with a spare segment is %s: %s", memory->whose,
                     SIZE_TEXT(memory->lock_bytes), SIZE_TEXT(need),
                     is_pinned  ? "RDMA cannot register it"
                     : is_wrong ? "the agent does not start"
                                : "it may be swapped out");
        if (memory->is_unit) {
            fix_unit(findings, "LimitMEMLOCK", "memlock");
        } else {
            findings_fix(findings, "ulimit -l unlimited   (as root, in the shell that starts "
                                   "ckptd; of a container: --ulimit memlock=-1)");
        }
    }
}

static uint64_t huge_pages_of(uint64_t bytes)
{
    return (bytes + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES + HUGE_PAGES_OF_INDEX;
}

static void judge_hugetlbfs(const struct doctor_settings *settings,
                            const struct doctor_memory *memory, struct findings *findings)
{
    uint64_t need = huge_pages_of(missing_bytes(settings, memory));
    if (memory->is_held || memory->present_bytes >= settings->arena_bytes) {
        findings_add(findings, FINDING_OK, "huge pages", "the arena lies in %s", memory->mount);
    } else if (!memory->has_hugetlbfs) {
        findings_add(findings, FINDING_WRONG, "huge pages",
                     "required, and no hugetlbfs with pages of 2 MiB is mounted");
        findings_fix(findings, "mkdir -p /dev/hugepages && mount -t hugetlbfs -o pagesize=2M none "
                               "/dev/hugepages");
    } else if (memory->free_huge_pages < need) {
        findings_add(findings, FINDING_WRONG, "huge pages",
                     "%" PRIu64 " of 2 MiB are free, %s needs %" PRIu64 " more",
                     memory->free_huge_pages, memory->directory, need);
        findings_fix(findings, "sysctl -w vm.nr_hugepages=%" PRIu64,
                     memory->huge_pages - memory->free_huge_pages + need);
    } else {
        findings_add(findings, FINDING_OK, "huge pages", "%" PRIu64 " of 2 MiB are free in %s",
                     memory->free_huge_pages, memory->mount);
    }
}

void doctor_judge_huge_pages(const struct doctor_settings *settings,
                             const struct doctor_memory *memory, struct findings *findings)
{
    if (is_huge(settings, memory)) {
        judge_hugetlbfs(settings, memory, findings);
        return;
    }
    if (memory->place != DOCTOR_PLACE_TMPFS) {
        return; /* whose finding is another */
    }
    bool is_denied = strcmp(memory->shmem_enabled, "deny") == 0;
    bool has_huge = strcmp(memory->shmem_enabled, "force") == 0 ||
                    (memory->tmpfs_huge[0] != '\0' && strcmp(memory->tmpfs_huge, "never") != 0);
    if (memory->shmem_enabled[0] == '\0') {
        findings_add(findings, FINDING_UNKNOWN, "huge pages",
                     "this kernel does not say whether tmpfs has any (shmem_enabled)");
    } else if (is_denied) {
        findings_add(findings, FINDING_WARNING, "huge pages",
                     "the kernel denies them to tmpfs: a process' first saves map pages of 4 KiB");
        findings_fix(findings,
                     "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled && "
                     "mount -o remount,huge=within_size %s",
                     memory->mount);
    } else if (has_huge) {
        findings_add(findings, FINDING_OK, "huge pages", "%s is mounted with huge=%s",
                     memory->mount, memory->tmpfs_huge[0] != '\0' ? memory->tmpfs_huge : "never");
    } else {
        findings_add(findings, FINDING_WARNING, "huge pages",
                     "%s has none: a process' first saves map pages of 4 KiB, 262144 a GiB, until "
                     "ckpt_prepare has done it; an arena that is there has to be made anew",
                     memory->mount);
        findings_fix(findings,
                     "mount -o remount,huge=within_size %s   (or: sysctl -w "
                     "vm.nr_hugepages=%" PRIu64 ")",
                     memory->mount,
                     memory->huge_pages - memory->free_huge_pages +
                         huge_pages_of(settings->arena_bytes));
    }
}

static uint64_t whole_gib(uint64_t bytes)
{
    return (bytes + CKPT_GIB - 1) / CKPT_GIB;
}

/* The machine's own memory, against what is missing. */
static void judge_machine(const struct doctor_settings *settings,
                          const struct doctor_memory *memory, struct findings *findings)
{
    uint64_t missing = missing_bytes(settings, memory);
    if (memory->available_bytes == 0) {
        return;
    }
    if (memory->available_bytes >= missing) {
        findings_add(findings, FINDING_OK, "memory", "%s are available, the arena takes %s%s",
                     SIZE_TEXT(memory->available_bytes), SIZE_TEXT(missing),
                     missing < settings->arena_bytes ? " more" : "");
        return;
    }
    findings_add(findings, FINDING_WRONG, "memory", "%s are available, the arena needs %s",
                 SIZE_TEXT(memory->available_bytes), SIZE_TEXT(missing));
    findings_fix(findings, "in %s: [arena] bytes = %" PRIu64 "MiB, or less", settings->file,
                 (memory->available_bytes + memory->present_bytes) / CKPT_MIB / 10 * 9);
}

void doctor_judge_room(const struct doctor_settings *settings, const struct doctor_memory *memory,
                       struct findings *findings)
{
    uint64_t missing = missing_bytes(settings, memory);
    bool is_unseen = memory->is_there && !memory->knows_present && !memory->is_held;
    if (is_huge(settings, memory)) {
        return; /* which huge pages say */
    }
    switch (memory->place) {
    case DOCTOR_PLACE_MISSING:
        findings_add(findings, FINDING_WRONG, "room", "%s: there is no such folder", memory->mount);
        findings_fix(findings, "mkdir -p %s && mount -t tmpfs -o size=%" PRIu64 "G none %s",
                     memory->mount, whole_gib(settings->arena_bytes) + 1, memory->mount);
        return;
    case DOCTOR_PLACE_OTHER:
        findings_add(findings, FINDING_WRONG, "room",
                     "%s is neither on tmpfs nor on hugetlbfs, and an arena has to lie in memory",
                     memory->mount);
        findings_fix(findings, "in %s: [arena] directory = /dev/shm/ckptd-%s", settings->file,
                     settings->node);
        return;
    case DOCTOR_PLACE_HUGETLBFS:
    case DOCTOR_PLACE_TMPFS:
        break;
    }
    bool is_small = memory->size_bytes > 0 && (memory->size_bytes < settings->arena_bytes ||
                                               (!is_unseen && memory->free_bytes < missing));
    if (memory->is_held) {
        findings_add(findings, FINDING_OK, "room", "the agent has its arena, %s",
                     memory->directory);
    } else if (is_small) {
        findings_add(findings, FINDING_WRONG, "room", "%s has %s free of %s, the arena needs %s%s",
                     memory->mount, SIZE_TEXT(memory->free_bytes), SIZE_TEXT(memory->size_bytes),
                     SIZE_TEXT(missing), memory->present_bytes > 0 ? " more" : "");
        findings_fix(findings,
                     "mount -o remount,size=%" PRIu64 "G %s   (of a container: "
                     "--shm-size)",
                     whole_gib(memory->size_bytes - memory->free_bytes + missing) + 1,
                     memory->mount);
    } else if (is_unseen) {
        findings_add(findings, FINDING_UNKNOWN, "room",
                     "%s is another user's: how much of the arena is there is not to be seen",
                     memory->directory);
    } else {
        findings_add(findings, FINDING_OK, "room", "%s has room for the arena, %s", memory->mount,
                     SIZE_TEXT(settings->arena_bytes));
    }
    if (!is_unseen) {
        judge_machine(settings, memory, findings);
    }
}

void doctor_judge_group(const struct doctor_settings *settings, const struct doctor_memory *memory,
                        struct findings *findings)
{
    uint64_t need = missing_bytes(settings, memory) + OTHER_BYTES;
    if (is_huge(settings, memory)) {
        need = OTHER_BYTES;
    }
    if (!memory->is_limited) {
        findings_add(findings, FINDING_OK, "cgroup", "no limit of memory is to be seen for %s",
                     memory->whose);
        return;
    }
    if (memory->left_bytes >= need) {
        findings_add(findings, FINDING_OK, "cgroup", "%s is %s, of which %s are left for %s",
                     memory->limit_file, SIZE_TEXT(memory->limit_bytes),
                     SIZE_TEXT(memory->left_bytes), memory->whose);
        return;
    }
    findings_add(findings, memory->is_held ? FINDING_WARNING : FINDING_WRONG, "cgroup",
                 "%s leaves %s to %s, which needs %s", memory->limit_file,
                 SIZE_TEXT(memory->left_bytes), memory->whose, SIZE_TEXT(need));
    if (memory->is_unit) {
        fix_unit(findings, "MemoryMax", "memory");
    } else {
        findings_fix(findings,
                     "echo %" PRIu64 " > %s   (of a job: --mem; of a container: its "
                     "memory limit)",
                     memory->limit_bytes - memory->left_bytes + need, memory->limit_file);
    }
}
