/* SPDX-License-Identifier: Apache-2.0 */
#include "arena/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"

/* A mapping of 1 GiB pages is the largest alignment there is. */
#define ALIGN_MAX CKPT_GIB

static enum ckpt_status check_file(int fd, uint64_t segment_bytes, bool writable,
                                   uint64_t *align_inout)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return CKPT_ERR_SYSTEM;
    }
    if (!S_ISREG(info.st_mode) || info.st_size < 0 || (uint64_t)info.st_size != segment_bytes) {
        return CKPT_ERR_SIZE;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) {
        return CKPT_ERR_SYSTEM;
    }
    if (writable && (flags & O_ACCMODE) != O_RDWR) {
        return CKPT_ERR_INVALID;
    }
    /* On hugetlbfs st_blksize is the page size, and mappings have to be aligned to it. */
    uint64_t page = info.st_blksize > 0 ? (uint64_t)info.st_blksize : 1;
    if (page > *align_inout && page <= ALIGN_MAX && (page & (page - 1)) == 0) {
        *align_inout = page;
    }
    return CKPT_OK;
}

static enum ckpt_status status_of_mmap(int error)
{
    return error == ENOMEM || error == EAGAIN ? CKPT_ERR_MEMORY : CKPT_ERR_SYSTEM;
}

static bool is_possible(const struct arena_view_files *files)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (files->count == 0 || files->count > CKPT_SEGMENTS_PER_SHARD_MAX ||
        files->segment_bytes == 0 || files->segment_bytes % CKPT_SEGMENT_BYTES_MIN != 0 ||
        files->segment_bytes > SIZE_MAX / 2 / files->count) {
        return false;
    }
    return files->part_bytes == 0 || (files->count == 1 && files->part_bytes % page == 0 &&
                                      files->part_bytes < files->segment_bytes);
}

static enum ckpt_status map_files(const struct arena_view_files *files, uint64_t each_bytes,
                                  uint8_t *address, bool writable)
{
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    for (uint32_t i = 0; i < files->count; i++) {
        if (mmap(address + i * each_bytes, (size_t)each_bytes, protection, MAP_SHARED | MAP_FIXED,
                 files->fds[i], 0) == MAP_FAILED) {
            return status_of_mmap(errno);
        }
    }
    return CKPT_OK;
}

enum ckpt_status arena_view_map(const struct arena_view_files *files, uint64_t bytes, bool writable,
                                struct arena_view *view_out)
{
    if (!is_possible(files)) {
        return CKPT_ERR_INVALID;
    }
    uint64_t each_bytes = files->part_bytes > 0 ? files->part_bytes : files->segment_bytes;
    if (bytes <= (files->count - 1) * each_bytes || bytes > files->count * each_bytes) {
        return CKPT_ERR_SIZE;
    }
    uint64_t align = CKPT_SEGMENT_BYTES_MIN;
    for (uint32_t i = 0; i < files->count; i++) {
        enum ckpt_status status = check_file(files->fds[i], files->segment_bytes, writable, &align);
        if (status != CKPT_OK) {
            return status;
        }
    }

    size_t mapped_bytes = (size_t)(files->count * each_bytes);
    size_t reserved_bytes = mapped_bytes + (size_t)align;
    void *reservation =
        mmap(NULL, reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reservation == MAP_FAILED) {
        return status_of_mmap(errno);
    }
    uintptr_t start = ((uintptr_t)reservation + (align - 1)) & ~(uintptr_t)(align - 1);
    uint8_t *address = (uint8_t *)start;
    enum ckpt_status status = map_files(files, each_bytes, address, writable);
    if (status != CKPT_OK) {
        (void)munmap(reservation, reserved_bytes);
        return status;
    }
    if (writable) {
        (void)madvise(address, mapped_bytes, MADV_DONTFORK);
    }
    *view_out = (struct arena_view){
        .address = address,
        .bytes = bytes,
        .mapped_bytes = mapped_bytes,
        .reservation = reservation,
        .reserved_bytes = reserved_bytes,
    };
    return CKPT_OK;
}

void arena_view_unmap(struct arena_view *view)
{
    if (view == NULL || view->reservation == NULL) {
        return;
    }
    (void)munmap(view->reservation, view->reserved_bytes);
    *view = (struct arena_view){0};
}
