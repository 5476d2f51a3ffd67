/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/posix_place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tier/name.h"

static int close_with(int fd, int error)
{
    close(fd);
    errno = error;
    return -1;
}

/* The C library of Debian 12 has no function for it. */
int posix_open(const struct posix *posix, const char *name, int flags)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, posix->folder, name[0] != '\0' ? name : ".", &how,
                        sizeof(how));
}

int posix_open_file(const struct posix *posix, const char *name, int flags, uint64_t *bytes_out)
{
    struct stat what;
    /* A pipe that somebody has put there must not hold us up. */
    int fd = posix_open(posix, name, O_RDONLY | O_NONBLOCK | flags);
    if (fd >= 0 && fstat(fd, &what) != 0) {
        return close_with(fd, errno);
    }
    if (fd >= 0 && !S_ISREG(what.st_mode)) {
        return close_with(fd, EISDIR);
    }
    if (fd >= 0) {
        *bytes_out = (uint64_t)what.st_size;
    }
    return fd;
}

/* The name up to, and without, its count-th '/'; false: it has fewer. */
static bool upper(const char *name, int count, struct tier_name *upper_out)
{
    const char *end = name;
    for (int i = 0; i < count; i++) {
        end = strchr(i > 0 ? end + 1 : end, '/');
        if (end == NULL) {
            return false;
        }
    }
    snprintf(upper_out->text, sizeof(upper_out->text), "%.*s", (int)(end - name), name);
    return true;
}

static bool make_folder(const struct posix *posix, const char *name)
{
    const char *leaf;
    int parent = posix_open_parent(posix, name, false, &leaf);
    if (parent < 0) {
        return false;
    }
    if (mkdirat(parent, leaf, 0700) != 0 && errno != EEXIST) {
        (void)close_with(parent, errno);
        return false;
    }
    close(parent);
    return true;
}

int posix_open_parent(const struct posix *posix, const char *name, bool makes,
                      const char **leaf_out)
{
    struct tier_name folder;
    const char *slash = strrchr(name, '/');
    for (int depth = 1; makes && upper(name, depth, &folder); depth++) {
        if (!make_folder(posix, folder.text)) {
            return -1;
        }
    }
    *leaf_out = slash != NULL ? slash + 1 : name;
    snprintf(folder.text, sizeof(folder.text), "%.*s", slash != NULL ? (int)(slash - name) : 0,
             name);
    return posix_open(posix, folder.text, O_RDONLY | O_DIRECTORY);
}

bool posix_sync_folders(const struct posix *posix, const char *name)
{
    struct tier_name folder;
    for (int depth = 0; depth == 0 || upper(name, depth, &folder); depth++) {
        int fd = posix_open(posix, depth > 0 ? folder.text : "", O_RDONLY | O_DIRECTORY);
        if (fd < 0) {
            return false;
        }
        if (fsync(fd) != 0) {
            (void)close_with(fd, errno);
            return false;
        }
        close(fd);
    }
    return true;
}

int posix_open_temporary(const struct posix *posix, int flags, struct posix_temporary *name_out)
{
    static atomic_uint_fast64_t serial; /* several tiers of a process may be one place */
    char life[INCARNATION_HEX_SIZE];
    int fd;
    incarnation_hex(&posix->options.incarnation, life);
    do {
        snprintf(name_out->text, sizeof(name_out->text), "%s-%" PRIuFAST64, life,
                 atomic_fetch_add_explicit(&serial, 1, memory_order_relaxed));
        fd = openat(posix->incoming, name_out->text,
                    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
    } while (fd < 0 && errno == EEXIST);
    if (fd >= 0) {
        (void)flock(fd, LOCK_EX | LOCK_NB); /* a file system without locks goes by age alone */
    }
    return fd;
}

static bool move(const struct posix *posix, const struct posix_temporary *temporary, int folder,
                 const char *leaf, bool is_new)
{
    if (!is_new) {
        return renameat(posix->incoming, temporary->text, folder, leaf) == 0;
    }
    if (renameat2(posix->incoming, temporary->text, folder, leaf, RENAME_NOREPLACE) == 0) {
        return true;
    }
    /* NFS, for one, knows only the older way. */
    return (errno == EINVAL || errno == ENOSYS) &&
           linkat(posix->incoming, temporary->text, folder, leaf, 0) == 0;
}

bool posix_name(const struct posix *posix, const struct posix_temporary *temporary,
                const char *name, bool is_new)
{
    const char *leaf;
    int folder = posix_open_parent(posix, name, true, &leaf);
    bool named = folder >= 0 && move(posix, temporary, folder, leaf, is_new);
    int error = errno;
    if (folder >= 0) {
        close(folder);
    }
    /* Nothing is left there but where it failed, or where rename() found both names to be one
     * file's, or after a link. */
    (void)unlinkat(posix->incoming, temporary->text, 0);
    errno = error;
    return named && posix_sync_folders(posix, name);
}
