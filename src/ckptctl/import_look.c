/* SPDX-License-Identifier: Apache-2.0 */
/* What one file is, found out from its header before anything is staged. */
#include "ckptctl/import_look.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shard/shard.h"

static const char lfs_text[] = "version https://git-lfs.github.com/spec/";

enum exit_code import_map(const char *path, struct import_mapping *mapping_out)
{
    struct stat status;
    enum exit_code code = EXIT_NO;
    /* Opened so, a FIFO without a writer is refused like any other FIFO. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        complain(EXIT_NO, "cannot read %s: %s", path, strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        complain(EXIT_NO, "%s is no regular file: write what it gives into one first", path);
    } else {
        size_t bytes = (size_t)status.st_size;
        void *data = bytes > 0 ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
        if (data == MAP_FAILED) {
            complain(EXIT_NO, "cannot map %s: %s", path, strerror(errno));
        } else {
            (void)madvise(data, bytes, MADV_SEQUENTIAL);
            *mapping_out = (struct import_mapping){.data = data ? data : "",
                                                   .bytes = bytes,
                                                   .device = status.st_dev,
                                                   .inode = status.st_ino,
                                                   .changed = status.st_mtim};
            code = EXIT_DONE;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return code;
}

void import_unmap(struct import_mapping *mapping)
{
    if (mapping->bytes > 0) {
        munmap((void *)mapping->data, mapping->bytes);
    }
    *mapping = (struct import_mapping){0};
}

bool import_is_unchanged(const char *path, const struct import_mapping *mapping)
{
    struct stat status;
    if (stat(path, &status) != 0 || status.st_dev != mapping->device ||
        status.st_ino != mapping->inode) {
        return true; /* gone, or replaced: the file itself is as it was */
    }
    return (uint64_t)status.st_size == mapping->bytes &&
           status.st_mtim.tv_sec == mapping->changed.tv_sec &&
           status.st_mtim.tv_nsec == mapping->changed.tv_nsec;
}

static const char *volatile path_read;

static void put(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static void on_cut(int number)
{
    (void)number;
    put("\nckptctl: ");
    put(path_read);
    put(" was cut short, or its disk failed, while it was read: no checkpoint was made; import it "
        "anew\n");
    _exit(EXIT_NO);
}

void import_reads(const char *path)
{
    struct sigaction action = {.sa_handler = on_cut};
    path_read = path;
    (void)sigaction(SIGBUS, &action, NULL);
}

/* Whether a header's tensors, whatever they are called and made of, fill just the bytes behind it:
 * then the file is whole, and ckptd's limits are what it passes. */
static bool is_whole(const struct import_mapping *mapping, uint64_t header_bytes)
{
    uint64_t rest = mapping->bytes - header_bytes;
    uint64_t sum = 0;
    uint64_t most = 0;
    const char *name;
    json_t *entry;
    json_t *root =
        json_loadb((const char *)mapping->data + 8, header_bytes - 8, JSON_ALLOW_NUL, NULL);
    bool whole = json_is_object(root);
    json_object_foreach(root, name, entry)
    {
        json_int_t begin;
        json_int_t end;
        const char *dtype;
        if (strcmp(name, "__metadata__") == 0) {
            continue;
        }
        if (json_unpack(entry, "{s:s, s:[I,I]}", "dtype", &dtype, "data_offsets", &begin, &end) !=
                0 ||
            begin < 0 || end < begin || (uint64_t)end > rest) {
            whole = false;
            break;
        }
        sum += (uint64_t)(end - begin);
        most = (uint64_t)end > most ? (uint64_t)end : most;
        if (sum > rest) {
            whole = false;
            break;
        }
    }
    json_decref(root);
    return whole && sum == rest && most == rest;
}

/* The first tensor of the index that is not in the file; NULL when all are. */
static const char *find_missing(const struct shard_index *index, const json_t *weights,
                                const char *file)
{
    const char *tensor;
    json_t *value;
    json_object_foreach((json_t *)weights, tensor, value)
    {
        if (strcmp(json_string_value(value), file) == 0 && !shard_index_find(index, tensor)) {
            return tensor;
        }
    }
    return NULL;
}

enum import_form import_look(const struct import_mapping *mapping, const json_t *weights,
                             const char *file, const char **missing_out, char *reason,
                             size_t reason_bytes)
{
    struct shard_index *index;
    uint64_t header_bytes = 0;
    *missing_out = NULL;
    reason[0] = '\0';
    if (mapping->bytes >= sizeof(lfs_text) - 1 &&
        memcmp(mapping->data, lfs_text, sizeof(lfs_text) - 1) == 0) {
        snprintf(reason, reason_bytes,
                 "a git-lfs pointer in place of the file, which "
                 "`git lfs pull` fetches");
        return IMPORT_POINTER;
    }
    enum ckpt_status status = shard_index_new(mapping->data, mapping->bytes, mapping->bytes, &index,
                                              reason, reason_bytes);
    if (status == CKPT_OK) {
        *missing_out = weights ? find_missing(index, weights, file) : NULL;
        shard_index_delete(&index);
        return IMPORT_SHARD;
    }
    if (status == CKPT_ERR_CORRUPT || mapping->bytes < 8 ||
        shard_header_size(mapping->data, mapping->bytes, &header_bytes) != CKPT_OK) {
        return IMPORT_BYTES;
    }
    return is_whole(mapping, header_bytes) ? IMPORT_BEYOND : IMPORT_DAMAGED;
}
