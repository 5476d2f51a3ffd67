/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/reason.h"

/* The files of a step, as they were when it was looked at. */
struct list {
    struct ckpt_tensor *tensors;
    size_t count;
    size_t room;
    char *reason;
};

static enum ckpt_status failed(char *reason, const char *path, const char *what)
{
    return reason_refuse(reason, CKPT_ERR_SYSTEM, "%.150s: %s", path, what);
}

static enum ckpt_status add(struct list *list, const char *path, uint64_t bytes)
{
    if (list->count == list->room) {
        size_t room = list->room > 0 ? list->room * 2 : 64;
        struct ckpt_tensor *grown = realloc(list->tensors, room * sizeof *grown);
        if (grown == NULL) {
            return CKPT_ERR_MEMORY;
        }
        list->tensors = grown;
        list->room = room;
    }
    char *name = strdup(path);
    if (name == NULL) {
        return CKPT_ERR_MEMORY;
    }
    list->tensors[list->count++] = (struct ckpt_tensor){
        .name = name, .dtype = CKPT_DTYPE_U8, .dimensions = 1, .shape = {bytes}, .bytes = bytes};
    return CKPT_OK;
}

static void forget(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free((char *)list->tensors[i].name);
    }
    free(list->tensors);
}

static enum ckpt_status look(struct list *list, int folder, const char *path, unsigned depth);

/* One name of a folder. path is the folder's, "" or with a '/' behind it. */
static enum ckpt_status look_at(struct list *list, int folder, const char *path, const char *name,
                                unsigned depth)
{
    char whole[PATH_MAX];
    struct stat about;
    int bytes = snprintf(whole, sizeof whole, "%s%s", path, name);
    if (bytes >= (int)sizeof whole - 1) {
        return failed(list->reason, path, "too long a path is below it");
    }
    if (fstatat(folder, name, &about, AT_SYMLINK_NOFOLLOW) != 0) {
        return failed(list->reason, whole, strerror(errno));
    }
    if (S_ISREG(about.st_mode)) {
        return add(list, whole, (uint64_t)about.st_size);
    }
    if (!S_ISDIR(about.st_mode)) {
        return failed(list->reason, whole, "neither a file nor a folder");
    }
    int inner = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner < 0) {
        return failed(list->reason, whole, strerror(errno));
    }
    whole[bytes] = '/';
    whole[bytes + 1] = '\0';
    return look(list, inner, whole, depth + 1);
}

/* Takes the descriptor. */
static enum ckpt_status look(struct list *list, int folder, const char *path, unsigned depth)
{
    enum ckpt_status status = CKPT_OK;
    size_t before = list->count;
    DIR *names = depth > FILES_DEPTH_MAX ? NULL : fdopendir(folder);
    if (names == NULL) {
        close(folder);
        return failed(list->reason, path, depth > FILES_DEPTH_MAX ? "too deep" : strerror(errno));
    }
    const struct dirent *entry;
    while (status == CKPT_OK && (entry = readdir(names)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            status = look_at(list, folder, path, entry->d_name, depth);
        }
    }
    closedir(names);
    if (status == CKPT_OK && list->count == before && path[0] != '\0') {
        status = add(list, path, 0);
    }
    return status;
}

/* A file's bytes, all that there were when it was looked at. */
static enum ckpt_status read_file(int root, const struct ckpt_tensor *file, void *to, char *reason)
{
    int fd = openat(root, file->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return failed(reason, file->name, strerror(errno));
    }
    uint64_t done = 0;
    ssize_t bytes = 1;
    while (done < file->bytes && bytes > 0) {
        bytes = pread(fd, (char *)to + done, file->bytes - done, (off_t)done);
        done += bytes > 0 ? (uint64_t)bytes : 0;
    }
    int error = errno;
    close(fd);
    if (done < file->bytes) {
        return failed(reason, file->name, bytes < 0 ? strerror(error) : "it was cut meanwhile");
    }
    return CKPT_OK;
}

static enum ckpt_status stage(struct ckpt *ckpt, int root, const struct list *list, uint64_t step,
                              char *reason)
{
    void **places = calloc(list->count + 1, sizeof *places);
    if (places == NULL) {
        return CKPT_ERR_MEMORY;
    }
    enum ckpt_status status =
        ckpt_save_begin(ckpt, step, list->tensors, list->count, NULL, 0, places);
    if (status != CKPT_OK) {
        reason_set(reason, "%s", ckpt_reason(ckpt));
        free(places);
        return status;
    }
    for (size_t i = 0; i < list->count && status == CKPT_OK; i++) {
        if (list->tensors[i].bytes > 0) {
            status = read_file(root, &list->tensors[i], places[i], reason);
        }
    }
    free(places);
    if (status != CKPT_OK) {
        (void)ckpt_save_cancel(ckpt, step);
        return status;
    }
    status = ckpt_save_end(ckpt, step);
    if (status != CKPT_OK) {
        reason_set(reason, "%s", ckpt_reason(ckpt));
    }
    return status;
}

enum ckpt_status files_save(struct ckpt *ckpt, int folder, const char *name, uint64_t step,
                            char *reason)
{
    struct list list = {.reason = reason};
    int root = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int names = root < 0 ? -1 : openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum ckpt_status status =
        names < 0 ? failed(reason, name, strerror(errno)) : look(&list, names, "", 0);
    if (status == CKPT_OK) {
        status = stage(ckpt, root, &list, step, reason);
    }
    if (status == CKPT_ERR_MEMORY) {
        reason_set(reason, "no memory for the list of step %.40s's files", name);
    }
    if (root >= 0) {
        close(root);
    }
    forget(&list);
    return status;
}

/* ---- back ---- */

/* The folder of a path below root, made where it is not there, and the last part of the path; -1:
 * it cannot be, or the path would lead out of root. */
static int open_parent(int root, const char *path, const char **last_out)
{
    int at = fcntl(root, F_DUPFD_CLOEXEC, 0);
    const char *slash;
    while (at >= 0 && (slash = strchr(path, '/')) != NULL) {
        char part[NAME_MAX + 1];
        size_t bytes = (size_t)(slash - path);
        if (bytes == 0 || bytes > NAME_MAX) {
            close(at);
            errno = EINVAL;
            return -1;
        }
        memcpy(part, path, bytes);
        part[bytes] = '\0';
        bool is_inside = strcmp(part, ".") != 0 && strcmp(part, "..") != 0;
        int inner = -1;
        errno = EINVAL;
        if (is_inside && (mkdirat(at, part, 0755) == 0 || errno == EEXIST)) {
            inner = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        int error = errno;
        close(at);
        errno = error;
        at = inner;
        path = slash + 1;
    }
    *last_out = path;
    return at;
}

static bool write_all(int fd, const char *data, uint64_t bytes)
{
    uint64_t done = 0;
    while (done < bytes) {
        ssize_t wrote = write(fd, data + done, bytes - done);
        if (wrote <= 0) {
            return false;
        }
        done += (uint64_t)wrote;
    }
    return true;
}

static enum ckpt_status write_file(int root, const struct ckpt_tensor *file, char *reason)
{
    const char *last;
    int parent = open_parent(root, file->name, &last);
    if (parent < 0) {
        return failed(reason, file->name, strerror(errno));
    }
    if (last[0] == '\0' && file->bytes == 0) { /* a folder */
        close(parent);
        return CKPT_OK;
    }
    int fd = -1;
    errno = EINVAL;
    if (strcmp(last, ".") != 0 && strcmp(last, "..") != 0 && last[0] != '\0') {
        fd = openat(parent, last, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    }
    bool is_written = fd >= 0 && write_all(fd, file->data, file->bytes);
    int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    close(parent);
    return is_written ? CKPT_OK : failed(reason, file->name, strerror(error));
}

enum ckpt_status files_restore(const struct ckpt_shard *shard, int folder, const char *name,
                               char *reason)
{
    enum ckpt_status status = CKPT_OK;
    int root = -1;
    if (mkdirat(folder, name, 0755) == 0) {
        root = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (root < 0) {
        return failed(reason, name, strerror(errno));
    }
    for (size_t i = 0; i < shard->tensor_count && status == CKPT_OK; i++) {
        struct ckpt_tensor file;
        status = ckpt_tensor_at(shard, i, &file);
        if (status == CKPT_OK && (file.dtype != CKPT_DTYPE_U8 || file.dimensions != 1)) {
            reason_set(reason, "%.150s is no file: something else saved it", file.name);
            status = CKPT_ERR_CORRUPT;
        }
        if (status == CKPT_OK) {
            status = write_file(root, &file, reason);
        }
    }
    close(root);
    return status;
}
