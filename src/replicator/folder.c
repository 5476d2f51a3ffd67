/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ckpt/ckpt.h>

#include "base/limits.h"
#include "base/reason.h"

char *folder_read_order(int folder, size_t *bytes_out)
{
    int fd = openat(folder, ORDER_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    char *text = fd < 0 ? NULL : malloc(ORDER_BYTES_MAX);
    ssize_t bytes = text == NULL ? -1 : pread(fd, text, ORDER_BYTES_MAX, 0);
    if (fd >= 0) {
        close(fd);
    }
    if (bytes < 0) {
        free(text);
        return NULL;
    }
    *bytes_out = (size_t)bytes;
    return text;
}

void folder_remove_order(int folder, const char *text, size_t bytes)
{
    size_t now_bytes;
    char *now = folder_read_order(folder, &now_bytes);
    if (now != NULL && now_bytes == bytes && memcmp(now, text, bytes) == 0) {
        (void)unlinkat(folder, ORDER_FILE, 0);
    }
    free(now);
}

void folder_tell(int folder, bool is_fatal, const char *line)
{
    static const char part[] = ".ckptd-told";
    int fd = openat(folder, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    bool is_written = fd >= 0 && dprintf(fd, "%s\n", line) > 0;
    if (fd >= 0) {
        close(fd);
    }
    if (is_written) {
        (void)renameat(folder, part, folder, is_fatal ? "replicator.failed" : "replicator.errors");
    }
}

/* A name that is a step's: digits alone. */
static bool is_step(const char *name, uint64_t *step_out)
{
    char *end;
    errno = 0;
    unsigned long long step = strtoull(name, &end, 10);
    *step_out = step;
    return name[0] >= '0' && name[0] <= '9' && *end == '\0' && errno == 0 &&
           step != CKPT_STEP_LATEST;
}

/* A stream over the folder, from its beginning; NULL: it cannot be read. */
static DIR *open_names(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *names = fd < 0 ? NULL : fdopendir(fd);
    if (names == NULL && fd >= 0) {
        close(fd);
    }
    return names;
}

bool folder_next_step(int folder, uint64_t above, uint64_t *step_out)
{
    DIR *names = open_names(folder);
    bool found = false;
    const struct dirent *entry;
    while (names != NULL && (entry = readdir(names)) != NULL) {
        struct stat about;
        uint64_t step;
        if (is_step(entry->d_name, &step) && step > above && (!found || step < *step_out) &&
            fstatat(folder, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(about.st_mode)) {
            *step_out = step;
            found = true;
        }
    }
    if (names != NULL) {
        closedir(names);
    }
    return found;
}

uint32_t folder_drop_steps(int folder, uint64_t above, uint64_t step)
{
    DIR *names = open_names(folder);
    uint32_t dropped = 0;
    const struct dirent *entry;
    while (names != NULL && (entry = readdir(names)) != NULL) {
        uint64_t found;
        if (is_step(entry->d_name, &found) && (found > above || found == step)) {
            folder_remove_tree(folder, entry->d_name);
            dropped++;
        }
    }
    if (names != NULL) {
        closedir(names);
    }
    return dropped;
}

enum ckpt_status folder_offer(int folder, const struct order *order, uint64_t step, bool is_empty,
                              char *reason)
{
    char marker[CKPT_RUN_NAME_MAX + 64];
    char job[CKPT_RUN_NAME_MAX + 1];
    snprintf(job, sizeof job, "%s", order->job);
    for (char *at = job; *at != '\0'; at++) {
        *at = *at == '/' ? '.' : *at; /* a run's name may have some; a file's has none */
    }
    snprintf(marker, sizeof marker, "%s-s%" PRIu64 "-n%" PRIu32 "-w0.restore", job, step,
             order->node);
    int result;
    if (is_empty) {
        result =
            openat(folder, marker, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (result >= 0) {
            close(result);
        }
    } else {
        folder_remove_tree(folder, marker);
        result = renameat(folder, FOLDER_PART, folder, marker);
    }
    if (result < 0) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM, "%.150s: %s", marker, strerror(errno));
    }
    return CKPT_OK;
}

/* Depth first. A name that turns into something else meanwhile is left, and said by nobody: the
 * next look finds it. */
void folder_remove_tree(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *names = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    if (names == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        (void)unlinkat(folder, name, 0);
        return;
    }
    while ((entry = readdir(names)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            folder_remove_tree(fd, entry->d_name); /* as deep as a save was, FILES_DEPTH_MAX */
        }
    }
    closedir(names);
    (void)unlinkat(folder, name, AT_REMOVEDIR);
}
