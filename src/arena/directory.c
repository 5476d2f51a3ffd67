/* SPDX-License-Identifier: Apache-2.0 */
/* Where the arena lies: found, made, refused, locked, removed. */
#include "arena/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "arena/explain.h"

#define LOCK_TRIES 5
#define LOCK_PAUSE_NS 10000000

#define PART_PREFIX "part-"

void arena_segment_name(uint32_t id, char name_out[SEGMENT_NAME_BYTES])
{
    bool is_part = id >= CKPT_PART_ID_FIRST;
    (void)snprintf(name_out, SEGMENT_NAME_BYTES, is_part ? PART_PREFIX "%04u" : "segment-%04u",
                   is_part ? id - CKPT_PART_ID_FIRST : id);
}

/* One line of /sys: how many huge pages of this size nobody has or has been promised. */
static uint64_t count_free_huge_pages(uint64_t page_bytes)
{
    uint64_t count[2] = {0, 0};
    static const char *const names[2] = {"free_hugepages", "resv_hugepages"};
    for (int i = 0; i < 2; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-%llukB/%s",
                       (unsigned long long)(page_bytes / CKPT_KIB), names[i]);
        FILE *file = fopen(path, "re");
        unsigned long long value = 0;
        if (file != NULL) {
            if (fscanf(file, "%llu", &value) == 1) {
                count[i] = value;
            }
            (void)fclose(file);
        }
    }
    return count[0] > count[1] ? count[0] - count[1] : 0;
}

bool arena_find_hugetlbfs(char path_out[ARENA_PATH_MAX + 1])
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    if (mounts == NULL) {
        return false;
    }
    bool found = false;
    struct mntent entry;
    char buffer[4096];
    while (!found && getmntent_r(mounts, &entry, buffer, sizeof buffer) != NULL) {
        struct statfs info;
        if (strcmp(entry.mnt_type, "hugetlbfs") == 0 && strlen(entry.mnt_dir) <= ARENA_PATH_MAX &&
            statfs(entry.mnt_dir, &info) == 0 && (uint64_t)info.f_bsize == 2 * CKPT_MIB) {
            (void)strcpy(path_out, entry.mnt_dir);
            found = true;
        }
    }
    (void)endmntent(mounts);
    return found;
}

static bool is_directory(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool join(char path_out[ARENA_PATH_MAX + 1], const char *parent, const char *node)
{
    int n = snprintf(path_out, ARENA_PATH_MAX + 1, "%s/ckptd-%s", parent, node);
    return n > 0 && n <= ARENA_PATH_MAX;
}

/* An arena that exists wins over what would be chosen today: after a restart the huge pages are not
 * free, because the arena has them. */
static enum ckpt_status choose(struct arena *arena, const struct arena_options *options,
                               char reason[ARENA_REASON_BYTES])
{
    if (options->directory != NULL) {
        if (strlen(options->directory) > ARENA_PATH_MAX) {
            arena_explain(reason, "the arena directory's path is longer than %d", ARENA_PATH_MAX);
            return CKPT_ERR_CONFIG;
        }
        (void)strcpy(arena->directory, options->directory);
        return CKPT_OK;
    }
    char mount[ARENA_PATH_MAX + 1] = "";
    char huge[ARENA_PATH_MAX + 1] = "";
    if (options->huge_pages != ARENA_HUGE_PAGES_NEVER) {
        if (options->hugetlbfs != NULL && strlen(options->hugetlbfs) <= ARENA_PATH_MAX) {
            (void)strcpy(mount, options->hugetlbfs);
        } else {
            (void)arena_find_hugetlbfs(mount);
        }
        if (mount[0] != '\0' && !join(huge, mount, options->node_name)) {
            huge[0] = '\0';
        }
    }
    char small[ARENA_PATH_MAX + 1];
    if (!join(small, "/dev/shm", options->node_name)) {
        arena_explain(reason, "the node's name is too long");
        return CKPT_ERR_CONFIG;
    }
    if (huge[0] != '\0' && is_directory(huge)) {
        (void)strcpy(arena->directory, huge);
        return CKPT_OK;
    }
    if (options->huge_pages == ARENA_HUGE_PAGES_REQUIRE) {
        if (huge[0] == '\0') {
            arena_explain(reason,
                          "huge pages are required, but no hugetlbfs with 2 MiB pages is mounted; "
                          "mount one (mount -t hugetlbfs -o pagesize=2M none /dev/hugepages) or "
                          "set huge pages to auto");
            return CKPT_ERR_CONFIG;
        }
        (void)strcpy(arena->directory, huge);
        return CKPT_OK;
    }
    /* The index takes some huge pages too: two a slot, at most, and the rounding. */
    uint64_t need = arena->segment_count * (arena->segment_bytes / (2 * CKPT_MIB)) + 1 +
                    arena->slot_count / 128 + 1;
    bool fits =
        huge[0] != '\0' && access(mount, W_OK) == 0 && count_free_huge_pages(2 * CKPT_MIB) >= need;
    (void)strcpy(arena->directory, fits && !is_directory(small) ? huge : small);
    return CKPT_OK;
}

static enum ckpt_status check_file_system(struct arena *arena, const struct arena_options *options,
                                          char reason[ARENA_REASON_BYTES])
{
    struct statfs info;
    if (fstatfs(arena->directory_fd, &info) != 0) {
        return arena_explain_errno(reason, "statfs(%s)", arena->directory);
    }
    arena->huge = info.f_type == HUGETLBFS_MAGIC;
    arena->page_bytes = arena->huge ? (uint64_t)info.f_bsize : (uint64_t)sysconf(_SC_PAGESIZE);
    if (!arena->huge && info.f_type != TMPFS_MAGIC) {
        arena_explain(reason,
                      "%s is neither on tmpfs nor on hugetlbfs; an arena has to lie in memory "
                      "(for example below /dev/shm)",
                      arena->directory);
        return CKPT_ERR_CONFIG;
    }
    if (arena->huge && options->huge_pages == ARENA_HUGE_PAGES_NEVER) {
        arena_explain(reason, "%s is on hugetlbfs, but huge pages are set to never",
                      arena->directory);
        return CKPT_ERR_CONFIG;
    }
    if (!arena->huge && options->huge_pages == ARENA_HUGE_PAGES_REQUIRE) {
        arena_explain(reason, "huge pages are required, but %s is on tmpfs", arena->directory);
        return CKPT_ERR_CONFIG;
    }
    if (arena->segment_bytes % arena->page_bytes != 0) {
        arena_explain(reason, "segments of %llu bytes are not whole pages of %llu bytes (%s)",
                      (unsigned long long)arena->segment_bytes,
                      (unsigned long long)arena->page_bytes, arena->directory);
        return CKPT_ERR_CONFIG;
    }
    return CKPT_OK;
}

static enum ckpt_status check_owner(struct arena *arena, char reason[ARENA_REASON_BYTES])
{
    struct stat info;
    if (fstat(arena->directory_fd, &info) != 0) {
        return arena_explain_errno(reason, "stat(%s)", arena->directory);
    }
    if (info.st_uid != geteuid()) {
        arena_explain(reason, "%s belongs to uid %u, the agent runs as uid %u", arena->directory,
                      info.st_uid, geteuid());
        return CKPT_ERR_CONFIG;
    }
    if ((info.st_mode & 077) != 0) {
        arena_explain(reason, "%s has mode %04o, so others may look into the arena; chmod 0700 it",
                      arena->directory, info.st_mode & 07777);
        return CKPT_ERR_CONFIG;
    }
    return CKPT_OK;
}

/* Who only looks whether an arena is in use (beside.c) has its lock for a moment. */
static bool take_lock(const struct arena *arena)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(arena->directory_fd, LOCK_EX | LOCK_NB) == 0) {
            return true;
        }
        if (errno != EWOULDBLOCK) {
            return false;
        }
        (void)nanosleep(&pause, NULL);
    }
    errno = EWOULDBLOCK;
    return false;
}

/* The flock is the directory's: it is there before any file is, and it dies with the process. */
enum ckpt_status arena_directory_open(struct arena *arena, const struct arena_options *options,
                                      bool create, char reason[ARENA_REASON_BYTES])
{
    enum ckpt_status status = choose(arena, options, reason);
    if (status != CKPT_OK) {
        return status;
    }
    arena->directory_is_made_here = create && mkdir(arena->directory, 0700) == 0;
    if (create && !arena->directory_is_made_here && errno != EEXIST) {
        return arena_explain_errno(reason, "mkdir(%s)", arena->directory);
    }
    arena->directory_fd = open(arena->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (arena->directory_fd < 0) {
        if (errno == ENOENT && !create) {
            return CKPT_ERR_NOT_FOUND;
        }
        if (errno == ELOOP || errno == ENOTDIR) {
            arena_explain(reason, "%s is a link or no directory; an arena is never one",
                          arena->directory);
            return CKPT_ERR_CONFIG;
        }
        return arena_explain_errno(reason, "open(%s)", arena->directory);
    }
    status = check_owner(arena, reason);
    if (status == CKPT_OK) {
        status = check_file_system(arena, options, reason);
    }
    if (status != CKPT_OK) {
        return status;
    }
    if (!take_lock(arena)) {
        if (errno == EWOULDBLOCK) {
            arena_explain(reason, "another agent has the arena %s open; each agent needs its own",
                          arena->directory);
            return CKPT_ERR_BUSY;
        }
        return arena_explain_errno(reason, "flock(%s)", arena->directory);
    }
    return CKPT_OK;
}

enum ckpt_status arena_file_open(struct arena *arena, const char *name, bool create, int *fd_out,
                                 char reason[ARENA_REASON_BYTES])
{
    int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | (create ? O_CREAT : 0);
    int fd = openat(arena->directory_fd, name, flags, 0600);
    if (fd < 0) {
        if (errno == ENOENT) {
            return CKPT_ERR_NOT_FOUND;
        }
        return arena_explain_errno(reason, "open(%s/%s)", arena->directory, name);
    }
    struct stat info;
    if (fstat(fd, &info) != 0) {
        enum ckpt_status status =
            arena_explain_errno(reason, "stat(%s/%s)", arena->directory, name);
        (void)close(fd);
        return status;
    }
    if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 077) != 0 ||
        info.st_nlink != 1) {
        arena_explain(reason,
                      "%s/%s is not a plain file of the agent's own (uid %u, mode %04o, %llu "
                      "links); the arena was tampered with: remove it",
                      arena->directory, name, info.st_uid, info.st_mode & 07777,
                      (unsigned long long)info.st_nlink);
        (void)close(fd);
        return CKPT_ERR_CONFIG;
    }
    *fd_out = fd;
    return CKPT_OK;
}

/* Takes only files that an arena makes, so that a wrong path loses nothing else. */
static bool is_arena_file(const struct arena *arena, const char *name)
{
    (void)arena;
    return strcmp(name, "index") == 0 || strcmp(name, "index-new") == 0 ||
           strcmp(name, "values") == 0 || strncmp(name, "segment-", 8) == 0 ||
           strncmp(name, PART_PREFIX, strlen(PART_PREFIX)) == 0;
}

static enum ckpt_status remove_files(struct arena *arena,
                                     bool (*is_to_go)(const struct arena *arena, const char *name),
                                     char reason[ARENA_REASON_BYTES])
{
    int fd = openat(arena->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (listing == NULL) {
        enum ckpt_status status = arena_explain_errno(reason, "opendir(%s)", arena->directory);
        if (fd >= 0) {
            (void)close(fd);
        }
        return status;
    }
    enum ckpt_status status = CKPT_OK;
    struct dirent *entry;
    while (status == CKPT_OK && (entry = readdir(listing)) != NULL) {
        if (is_to_go(arena, entry->d_name) &&
            unlinkat(arena->directory_fd, entry->d_name, 0) != 0 && errno != ENOENT) {
            status = arena_explain_errno(reason, "unlink(%s/%s)", arena->directory, entry->d_name);
        }
    }
    (void)closedir(listing);
    return status;
}

/* The index goes first: without it what is left is no arena, whenever this is interrupted. */
static enum ckpt_status remove_all(struct arena *arena, char reason[ARENA_REASON_BYTES])
{
    if (unlinkat(arena->directory_fd, "index", 0) != 0 && errno != ENOENT) {
        return arena_explain_errno(reason, "unlink(%s/index)", arena->directory);
    }
    return remove_files(arena, is_arena_file, reason);
}

void arena_directory_undo(struct arena *arena)
{
    char reason[ARENA_REASON_BYTES];
    if (arena->is_made_here) {
        (void)remove_all(arena, reason);
    }
    /* One that was there before is not the arena's, and one that is not empty stays. */
    if (arena->directory_is_made_here || (arena->is_made_here && arena->is_default_directory)) {
        (void)rmdir(arena->directory);
    }
}

static bool is_stray(const struct arena *arena, const char *name)
{
    if (strncmp(name, PART_PREFIX, strlen(PART_PREFIX)) != 0) {
        return false;
    }
    char *end;
    unsigned long part = strtoul(name + strlen(PART_PREFIX), &end, 10);
    char own[SEGMENT_NAME_BYTES] = "";
    const struct segment *there =
        part < arena->part_count ? arena_find(arena, CKPT_PART_ID_FIRST + (uint32_t)part) : NULL;
    if (there != NULL && there->fd >= 0) {
        arena_segment_name(CKPT_PART_ID_FIRST + (uint32_t)part, own);
    }
    return strcmp(name, own) != 0;
}

enum ckpt_status arena_directory_tidy(struct arena *arena, char reason[ARENA_REASON_BYTES])
{
    return remove_files(arena, is_stray, reason);
}

enum ckpt_status arena_destroy_files(const struct arena_options *options,
                                     char reason[ARENA_REASON_BYTES])
{
    struct arena arena = {
        .directory_fd = -1,
        .segment_bytes =
            options->segment_bytes == 0 ? CKPT_SEGMENT_BYTES_DEFAULT : options->segment_bytes,
        .segment_count = options->segment_count,
        .slot_count = options->slot_count == 0 ? options->segment_count : options->slot_count,
    };
    enum ckpt_status status = arena_directory_open(&arena, options, false, reason);
    if (status == CKPT_ERR_NOT_FOUND) {
        return CKPT_OK;
    }
    if (status == CKPT_OK) {
        status = remove_all(&arena, reason);
    }
    if (status == CKPT_OK && rmdir(arena.directory) != 0) {
        status = arena_explain_errno(reason, "rmdir(%s)", arena.directory);
    }
    if (arena.directory_fd >= 0) {
        (void)close(arena.directory_fd);
    }
    return status;
}
