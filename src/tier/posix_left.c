/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/posix_left.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tier/errno_class.h"
#include "tier/name.h"
#include "tier/ring.h"

static uint64_t changed_ms(const struct stat *what)
{
    return (uint64_t)what->st_mtim.tv_sec * 1000 + (uint64_t)what->st_mtim.tv_nsec / 1000000;
}

/* "32 digits-number", as posix_open_temporary() makes them; anything else is not ours to remove. */
static bool is_temporary(const char *name)
{
    const size_t life = INCARNATION_HEX_SIZE - 1;
    return strlen(name) > life + 1 && strspn(name, "0123456789abcdef") == life &&
           name[life] == '-' && strspn(name + life + 1, "0123456789") == strlen(name + life + 1);
}

/* Whether nobody writes to it. Where there are no locks its age alone speaks. */
static bool is_left(const struct posix *posix, const char *name, uint64_t now_ms)
{
    struct stat what;
    char own[INCARNATION_HEX_SIZE];
    incarnation_hex(&posix->options.incarnation, own);
    if (!is_temporary(name) || strncmp(name, own, strlen(own)) == 0) {
        return false;
    }
    int fd = openat(posix->incoming, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool left = fstat(fd, &what) == 0 && S_ISREG(what.st_mode) &&
                changed_ms(&what) + posix->options.stale_ms <= now_ms &&
                (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK);
    close(fd);
    return left;
}

static void sweep(const struct posix *posix, uint64_t now_ms)
{
    const struct dirent *entry;
    int fd = posix_open(posix, TIER_INCOMING, O_RDONLY | O_DIRECTORY);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    while ((entry = readdir(folder)) != NULL) {
        if (is_left(posix, entry->d_name, now_ms)) {
            (void)unlinkat(posix->incoming, entry->d_name, 0);
        }
    }
    closedir(folder);
}

/* 0, or an errno. */
static int try_to_write(struct posix *posix, int flags, uint64_t *now_ms_out)
{
    struct posix_temporary temporary = {""};
    struct stat what;
    void *block = aligned_alloc(RING_ALIGN, RING_ALIGN);
    int fd = posix_open_temporary(posix, flags, &temporary);
    int error = fd < 0 ? errno : 0;
    if (block == NULL) {
        error = ENOMEM;
    }
    if (error == 0) {
        memset(block, 0, RING_ALIGN);
        error = pwrite(fd, block, RING_ALIGN, 0) != (ssize_t)RING_ALIGN ? errno : 0;
    }
    if (fd >= 0 && fstat(fd, &what) == 0) {
        *now_ms_out = changed_ms(&what);
    }
    if (fd >= 0) {
        close(fd);
    }
    (void)unlinkat(posix->incoming, temporary.text, 0); /* as it may be made and not opened */
    free(block);
    return error;
}

int posix_left_probe(struct posix *posix)
{
    uint64_t now_ms = 0;
    int error = try_to_write(posix, O_DIRECT, &now_ms);
    posix->is_direct = error != EINVAL && error != EOPNOTSUPP;
    if (!posix->is_direct) {
        error = try_to_write(posix, 0, &now_ms);
    }
    sweep(posix, now_ms);
    /* A full disk can be read from, and may have room when something is put. */
    return errno_class(error) == CKPT_ERR_FULL ? 0 : error;
}
