/* SPDX-License-Identifier: Apache-2.0 */
/* Who else has memory where an arena is to lie. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena/directory.h"

#define PREFIX "ckptd-"

/* What its files take; false where it may not be looked into. */
static bool measure(const char *path, struct arena_beside *beside)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int listed = fd < 0 ? -1 : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = listed < 0 ? NULL : fdopendir(listed);
    if (listing == NULL) {
        if (listed >= 0) {
            (void)close(listed);
        }
        if (fd >= 0) {
            (void)close(fd);
        }
        return false;
    }
    struct dirent *entry;
    while ((entry = readdir(listing)) != NULL) {
        if (fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode)) {
            beside->bytes += (uint64_t)info.st_blocks * 512;
        }
    }
    (void)closedir(listing);
    /* An agent that starts at this moment tries again: see arena_directory_open(). */
    beside->is_in_use = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    (void)close(fd);
    return true;
}

static void list_in(const char *parent, const char *own, arena_beside_fn visit, void *context)
{
    DIR *listing = opendir(parent);
    struct dirent *entry;
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        struct arena_beside beside = {.bytes = 0};
        struct stat info;
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 ||
            strcmp(entry->d_name, own) == 0 ||
            snprintf(beside.path, sizeof beside.path, "%s/%s", parent, entry->d_name) >=
                (int)sizeof beside.path ||
            lstat(beside.path, &info) != 0 || !S_ISDIR(info.st_mode)) {
            continue;
        }
        beside.is_known = measure(beside.path, &beside);
        visit(context, &beside);
    }
    if (listing != NULL) {
        (void)closedir(listing);
    }
}

void arena_list_beside(const struct arena_options *options, arena_beside_fn visit, void *context)
{
    char own[ARENA_PATH_MAX + 1];
    char parent[ARENA_PATH_MAX + 1];
    if (options->directory == NULL) {
        (void)snprintf(own, sizeof own, PREFIX "%s", options->node_name);
        list_in("/dev/shm", own, visit, context);
        if (arena_find_hugetlbfs(parent)) {
            list_in(parent, own, visit, context);
        }
        return;
    }
    (void)snprintf(parent, sizeof parent, "%s", options->directory);
    char *slash = strrchr(parent, '/');
    if (slash != NULL && slash != parent) {
        (void)snprintf(own, sizeof own, "%s", slash + 1);
        *slash = '\0';
        list_in(parent, own, visit, context);
    }
}
