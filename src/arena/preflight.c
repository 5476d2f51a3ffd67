/* SPDX-License-Identifier: Apache-2.0 */
/* What would fail late, or kill: asked before anything large is made, and told with its remedy. */
#include "arena/preflight.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "arena/cgroup.h"
#include "arena/explain.h"
#include "base/sizes.h"

/* Descriptors of the agent beside one a segment: sockets of ranks and peers, database, epoll. */
#define OTHER_DESCRIPTORS 2048u

/* What the agent takes beside the arena, a control group's account of it included. */
#define OTHER_BYTES (32 * CKPT_MIB)

static double in_gib(uint64_t bytes)
{
    return (double)bytes / (double)CKPT_GIB;
}

/* Raises the soft limit to wanted, or as near as the hard one allows. */
static uint64_t raise_limit(__rlimit_resource_t resource, uint64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0) {
        return RLIM_INFINITY; /* what needs it will tell */
    }
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        (void)setrlimit(resource, &limit);
    }
    return limit.rlim_cur;
}

void arena_limits_raise(void)
{
    (void)raise_limit(RLIMIT_MEMLOCK, RLIM_INFINITY);
}

/* One a segment, and one a part for as many parts as may be. */
static enum ckpt_status check_descriptors(struct arena *arena, char reason[ARENA_REASON_BYTES])
{
    uint64_t need = arena->segment_count + OTHER_DESCRIPTORS;
    uint64_t allowed = raise_limit(RLIMIT_NOFILE, need + arena->part_count);
    if (allowed >= need) {
        uint64_t parts = allowed - need;
        arena->part_count = parts < arena->part_count ? (uint32_t)parts : arena->part_count;
        return CKPT_OK;
    }
    arena_explain(reason,
                  "an arena of %u segments needs %llu open files, the hard limit is %llu; set "
                  "LimitNOFILE=%llu in the unit (or ulimit -Hn %llu), or make the segments larger",
                  arena->segment_count, (unsigned long long)need, (unsigned long long)allowed,
                  (unsigned long long)need, (unsigned long long)need);
    return CKPT_ERR_CONFIG;
}

/* Locks the reserved addresses, which have no pages yet, and lets them go: the kernel's own answer
 * to "may this process lock so much", capabilities, user namespaces and all. */
static enum ckpt_status check_lock(struct arena *arena, char reason[ARENA_REASON_BYTES])
{
    if (arena->huge || arena->lock == ARENA_LOCK_OFF) {
        return CKPT_OK;
    }
    /* One more than there are, for arena_segment_repair(). Raised as far as it goes, because what
     * a transport pins is counted against the same limit. */
    uint64_t bytes = (arena->segment_count + UINT64_C(1)) * arena->segment_bytes;
    uint64_t allowed = raise_limit(RLIMIT_MEMLOCK, RLIM_INFINITY);
    if (mlock2(arena->base, (size_t)bytes, MLOCK_ONFAULT) == 0) {
        /* Reserved anew rather than munlock()ed, which the sanitizers make do nothing. */
        if (mmap(arena->base, (size_t)bytes, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) {
            return arena_explain_errno(reason, "mmap of %.2f GiB of addresses", in_gib(bytes));
        }
        return CKPT_OK;
    }
    if (errno == ENOSYS || arena->lock == ARENA_LOCK_TRY) {
        return CKPT_OK; /* mlock() itself will tell, segment by segment */
    }
    uint64_t kib = (bytes + CKPT_KIB - 1) / CKPT_KIB;
    arena_explain(
        reason,
        "%.2f GiB of arena, one spare segment included, but only %llu KiB may be locked into "
        "memory "
        "(RLIMIT_MEMLOCK); set LimitMEMLOCK=infinity in the unit (or %lluK; in a shell as "
        "root: ulimit -l %llu), or set the arena's lock to try or off",
        in_gib(bytes), (unsigned long long)(allowed / CKPT_KIB), (unsigned long long)kib,
        (unsigned long long)kib);
    return CKPT_ERR_CONFIG;
}

static bool read_available_memory(uint64_t *bytes_out)
{
    FILE *file = fopen("/proc/meminfo", "re");
    if (file == NULL) {
        return false;
    }
    char line[128];
    unsigned long long kib = 0;
    bool found = false;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        found = sscanf(line, "MemAvailable: %llu kB", &kib) == 1;
    }
    (void)fclose(file);
    *bytes_out = kib * CKPT_KIB;
    return found;
}

static enum ckpt_status check_room(const struct arena *arena, uint64_t missing_bytes,
                                   char reason[ARENA_REASON_BYTES])
{
    struct statvfs info;
    if (missing_bytes == 0 || arena->huge || fstatvfs(arena->directory_fd, &info) != 0) {
        return CKPT_OK; /* huge pages are promised or refused by mmap() */
    }
    uint64_t room = (uint64_t)info.f_bavail * info.f_frsize;
    /* A tmpfs of no limit says 0 blocks in all. */
    if (info.f_blocks != 0 && room < missing_bytes) {
        struct size_pair sizes = size_pair(missing_bytes, room);
        arena_explain(reason,
                      "the arena %s needs %s more, its file system has %s left; make "
                      "it larger (mount -o remount,size=... ) or the arena smaller",
                      arena->directory, sizes.a, sizes.b);
        return CKPT_ERR_MEMORY;
    }
    uint64_t available;
    if (read_available_memory(&available) && available < missing_bytes) {
        struct size_pair sizes = size_pair(missing_bytes, available);
        arena_explain(reason,
                      "the arena %s needs %s more, this machine has %s available; make "
                      "the arena smaller",
                      arena->directory, sizes.a, sizes.b);
        return CKPT_ERR_MEMORY;
    }
    return CKPT_OK;
}

/* The kernel would kill the agent in the middle of faulting the arena in. Huge pages have a
 * controller of their own, which refuses. */
static enum ckpt_status check_cgroup(const struct arena *arena, uint64_t missing_bytes,
                                     char reason[ARENA_REASON_BYTES])
{
    struct cgroup_memory memory;
    uint64_t need = missing_bytes + OTHER_BYTES;

    if (missing_bytes == 0 || arena->huge || !cgroup_memory("", &memory) || memory.left >= need) {
        return CKPT_OK;
    }
    struct size_pair sizes = size_pair(need, memory.left);
    arena_explain(reason,
                  "the arena %s needs %s more with the agent, its control group leaves %s (%s); "
                  "raise that (MemoryMax=, --mem, the container's limit) or make the arena smaller",
                  arena->directory, sizes.a, sizes.b, memory.file);
    return CKPT_ERR_MEMORY;
}

enum ckpt_status arena_preflight(struct arena *arena, uint64_t missing_bytes,
                                 char reason[ARENA_REASON_BYTES])
{
    enum ckpt_status status = check_descriptors(arena, reason);
    if (status == CKPT_OK) {
        status = check_room(arena, missing_bytes, reason);
    }
    if (status == CKPT_OK) {
        status = check_cgroup(arena, missing_bytes, reason);
    }
    if (status == CKPT_OK) {
        status = check_lock(arena, reason);
    }
    return status;
}
