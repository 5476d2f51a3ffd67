/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault_point.h"
#include "base/reason.h"
#include "tier/errno_class.h"
#include "tier/name.h"
#include "tier/posix_left.h"
#include "tier/posix_place.h"
#include "tier/posix_read.h"
#include "tier/posix_write.h"

static void free_posix(struct posix *posix)
{
    if (posix->incoming >= 0) {
        close(posix->incoming);
    }
    if (posix->folder >= 0) {
        close(posix->folder);
    }
    free(posix);
}

/* Makes the place of files without a name, and learns what the file system can do. */
static enum ckpt_status prepare(struct posix *posix, const char *location, char *reason_out)
{
    if (mkdirat(posix->folder, TIER_INCOMING, 0700) != 0 && errno != EEXIST) {
        return errno_refuse(reason_out, errno, "cannot make a folder in", location);
    }
    posix->incoming = posix_open(posix, TIER_INCOMING, O_RDONLY | O_DIRECTORY);
    if (posix->incoming < 0) {
        return errno_refuse(reason_out, errno, "cannot open " TIER_INCOMING " of", location);
    }
    int error = posix_left_probe(posix);
    if (error != 0) {
        return errno_refuse(reason_out, error, "cannot write to", location);
    }
    if (!posix->is_direct && posix->options.notice != NULL) {
        posix->options.notice(posix->options.context,
                              "the file system takes no O_DIRECT: its files go through the page "
                              "cache");
    }
    return CKPT_OK;
}

static enum ckpt_status posix_open_medium(const char *location, const struct tier_options *options,
                                          struct tier_medium **medium_out, char *reason_out)
{
    struct posix *posix = calloc(1, sizeof(*posix));
    enum ckpt_status status = CKPT_OK;
    if (location[0] != '/') {
        free(posix);
        return reason_refuse(reason_out, CKPT_ERR_CONFIG,
                             "posix:%.100s is no absolute path: posix:/PATH", location);
    }
    if (posix == NULL) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for a tier");
    }
    posix->medium.backend = &tier_posix;
    posix->options = *options;
    posix->incoming = -1;
    posix->folder = open(location, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (posix->folder < 0) {
        status = errno_refuse(reason_out, errno, "cannot open the tier's folder", location);
    } else if (!options->is_reader) {
        status = prepare(posix, location, reason_out);
    }
    if (status != CKPT_OK) {
        free_posix(posix);
        return status;
    }
    *medium_out = &posix->medium;
    return CKPT_OK;
}

static void posix_close(struct tier_medium *medium)
{
    free_posix((struct posix *)medium);
}

static bool write_all(int fd, const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(fd, text, bytes);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        if (written == 0) {
            errno = EIO;
            return false;
        }
        text += written > 0 ? written : 0;
        bytes -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

static enum ckpt_status posix_store(struct tier_medium *medium, const char *name, const char *text,
                                    size_t bytes, bool is_new, char *reason_out)
{
    struct posix *posix = (struct posix *)medium;
    struct posix_temporary temporary = {""};
    int fd = posix_open_temporary(posix, 0, &temporary);
    if (fd < 0) {
        return errno_refuse(reason_out, errno, "cannot make a file for", name);
    }
    bool written = write_all(fd, text, bytes) && fsync(fd) == 0;
    int error = errno;
    if (!written) {
        (void)unlinkat(posix->incoming, temporary.text, 0);
        close(fd);
        return errno_refuse(reason_out, error, "cannot write", name);
    }
    FAULT_POINT(tier_before_name);
    bool named = posix_name(posix, &temporary, name, is_new);
    error = errno;
    close(fd);
    if (!named && is_new && error == EEXIST) {
        return reason_refuse(reason_out, CKPT_ERR_STALE, "%s is there already", name);
    }
    return named ? CKPT_OK : errno_refuse(reason_out, error, "cannot name", name);
}

static bool show(DIR *folder, const char *name, tier_thing_visit *visit, void *context)
{
    struct stat what;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        fstatat(dirfd(folder), name, &what, AT_SYMLINK_NOFOLLOW) != 0) {
        return true; /* or it has gone meanwhile */
    }
    enum tier_thing thing = S_ISREG(what.st_mode)   ? TIER_FILE
                            : S_ISDIR(what.st_mode) ? TIER_FOLDER
                                                    : TIER_OTHER;
    return visit(context, name, thing, thing == TIER_FILE ? (uint64_t)what.st_size : 0);
}

static enum ckpt_status posix_list(struct tier_medium *medium, const char *folder,
                                   tier_thing_visit *visit, void *context, char *reason_out)
{
    const struct posix *posix = (struct posix *)medium;
    const struct dirent *entry = NULL;
    int fd = posix_open(posix, folder, O_RDONLY | O_DIRECTORY);
    DIR *open = fd >= 0 ? fdopendir(fd) : NULL;
    if (open == NULL) {
        int error = errno;
        if (fd >= 0) {
            close(fd);
        }
        return errno_refuse(reason_out, error, "cannot list", folder);
    }
    do {
        errno = 0;
        entry = readdir(open);
    } while (entry != NULL && show(open, entry->d_name, visit, context));
    int error = entry == NULL ? errno : 0;
    closedir(open);
    return error == 0 ? CKPT_OK : errno_refuse(reason_out, error, "cannot list", folder);
}

/* A second name for what is open as fd, and for nothing that has come into its place since. */
static bool link_open(struct posix *posix, int fd, const char *from, const char *to)
{
    const char *leaf;
    struct posix_temporary temporary = {""};
    struct stat what;
    struct stat linked;
    int made = posix_open_temporary(posix, 0, &temporary);
    int folder = posix_open_parent(posix, from, false, &leaf);
    bool done = made >= 0 && folder >= 0 && unlinkat(posix->incoming, temporary.text, 0) == 0 &&
                linkat(folder, leaf, posix->incoming, temporary.text, 0) == 0;
    int error = errno;
    if (done) {
        done = fstat(fd, &what) == 0 &&
               fstatat(posix->incoming, temporary.text, &linked, AT_SYMLINK_NOFOLLOW) == 0 &&
               what.st_dev == linked.st_dev && what.st_ino == linked.st_ino;
        error = done ? 0 : ENOENT;
    }
    if (folder >= 0) {
        close(folder);
    }
    if (made >= 0) {
        close(made);
        if (!done) {
            (void)unlinkat(posix->incoming, temporary.text, 0);
        }
    }
    errno = error;
    return done && posix_name(posix, &temporary, to, false);
}

static enum ckpt_status posix_link(struct tier_medium *medium, const char *from, const char *to,
                                   char *reason_out)
{
    struct posix *posix = (struct posix *)medium;
    uint64_t bytes;
    int fd = posix_open_file(posix, from, 0, &bytes);
    if (fd < 0) {
        return errno_refuse(reason_out, errno, "cannot link", from);
    }
    bool linked = link_open(posix, fd, from, to);
    int error = errno;
    close(fd);
    return linked ? CKPT_OK : errno_refuse(reason_out, error, "cannot link", from);
}

static enum ckpt_status remove_name(struct tier_medium *medium, const char *name, int flags,
                                    bool is_durable, char *reason_out)
{
    const struct posix *posix = (struct posix *)medium;
    const char *leaf;
    int folder = posix_open_parent(posix, name, false, &leaf);
    int error = folder < 0 || unlinkat(folder, leaf, flags) != 0 ? errno : 0;
    if (error == 0 && is_durable && fsync(folder) != 0) {
        error = errno;
    }
    if (folder >= 0) {
        close(folder);
    }
    bool stays = (flags & AT_REMOVEDIR) != 0 && (error == ENOTEMPTY || error == EEXIST);
    return error == 0 || error == ENOENT || stays
               ? CKPT_OK
               : errno_refuse(reason_out, error, "cannot remove", name);
}

static enum ckpt_status posix_remove(struct tier_medium *medium, const char *name, bool is_durable,
                                     char *reason_out)
{
    return remove_name(medium, name, 0, is_durable, reason_out);
}

static enum ckpt_status posix_remove_folder(struct tier_medium *medium, const char *folder,
                                            char *reason_out)
{
    return remove_name(medium, folder, AT_REMOVEDIR, true, reason_out);
}

const struct tier_backend tier_posix = {
    .scheme = "posix",
    .open = posix_open_medium,
    .close = posix_close,
    .begin = posix_begin,
    .append = posix_append,
    .end = posix_end,
    .discard = posix_discard,
    .store = posix_store,
    .load = posix_load,
    .read = posix_read,
    .list = posix_list,
    .link = posix_link,
    .remove = posix_remove,
    .remove_folder = posix_remove_folder,
};
