/* SPDX-License-Identifier: Apache-2.0 */
/* One file of a segment or part: made, mapped, bound, faulted in, locked. */
#include "arena/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arena/directory.h"
#include "arena/explain.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define POPULATE_BYTES (256 * CKPT_MIB)

bool arena_file_is_whole(const struct arena *arena, int fd, uint64_t bytes)
{
    struct stat info;
    return fstat(fd, &info) == 0 && info.st_size >= 0 &&
           (uint64_t)info.st_size == arena->segment_bytes &&
           (uint64_t)info.st_blocks * 512 >= bytes;
}

/* "segment 3", "part 12". */
struct what {
    char text[24];
};
static struct what what_is(uint32_t id)
{
    struct what what;
    bool is_part = id >= CKPT_PART_ID_FIRST;
    (void)snprintf(what.text, sizeof what.text, "%s %u", is_part ? "part" : "segment",
                   is_part ? id - CKPT_PART_ID_FIRST : id);
    return what;
}

/* The system call itself: libnuma would add a dependency and nothing else. The policy belongs to
 * the file's pages, so it is set before the first of them is made. */
static enum ckpt_status bind_node(const struct arena *arena, const struct pin *pin,
                                  char reason[ARENA_REASON_BYTES])
{
    enum { WORD_BITS = 8 * sizeof(unsigned long), NODES = 1024 };
    int node = arena_segment_node(arena, pin->id);
    if (node < 0) {
        return CKPT_OK;
    }
    unsigned long mask[NODES / WORD_BITS] = {0};
    if (node >= NODES) {
        arena_explain(reason, "NUMA node %d is not below %d", node, NODES);
        return CKPT_ERR_CONFIG;
    }
    mask[node / WORD_BITS] = 1ul << (node % WORD_BITS);
    if (syscall(SYS_mbind, pin->address, pin->bytes, MPOL_BIND, mask, (unsigned long)NODES + 1,
                0u) != 0) {
        if (errno == EINVAL) {
            arena_explain(reason, "there is no memory on NUMA node %d to bind %s to", node,
                          what_is(pin->id).text);
            return CKPT_ERR_CONFIG;
        }
        return arena_explain_errno(reason, "mbind(%s, NUMA node %d)", what_is(pin->id).text, node);
    }
    return CKPT_OK;
}

/* Adding nothing makes the page this process's, writable, and keeps its bytes. */
static void touch(uint8_t *address, uint64_t bytes, uint64_t page_bytes)
{
    for (uint64_t offset = 0; offset < bytes; offset += page_bytes) {
        (void)__atomic_fetch_add(address + offset, 0, __ATOMIC_RELAXED);
    }
}

static enum ckpt_status explain_stopped(char reason[ARENA_REASON_BYTES])
{
    arena_explain(reason, "stopped while the arena was taken");
    return CKPT_ERR_ABORTED;
}

static bool is_stopped(const struct arena *arena)
{
    return arena->is_stopped != NULL && arena->is_stopped();
}

/* In pieces, so that a stop need not wait for a large segment; false: not to be had so, or not at
 * all. */
static bool populate(const struct arena *arena, uint8_t *address, size_t bytes)
{
    for (size_t done = 0; done < bytes && !is_stopped(arena); done += POPULATE_BYTES) {
        size_t left = bytes - done;
        if (madvise(address + done, left < POPULATE_BYTES ? left : POPULATE_BYTES,
                    MADV_POPULATE_WRITE) != 0) {
            return false;
        }
    }
    return true;
}

static enum ckpt_status fault_in(struct arena *arena, const struct pin *pin,
                                 char reason[ARENA_REASON_BYTES])
{
    size_t bytes = (size_t)pin->bytes;
    if (!arena->huge && arena->ask_transparent_huge_pages) {
        (void)madvise(pin->address, bytes, MADV_HUGEPAGE); /* where tmpfs is set to take advice */
    }
    /* Before fallocate(), which does not know of the advice; without room it fails, quietly. */
    bool populated = populate(arena, pin->address, bytes);
    if (is_stopped(arena)) {
        return explain_stopped(reason);
    }
    if (fallocate(pin->fd, FALLOC_FL_KEEP_SIZE, (off_t)pin->offset, (off_t)bytes) != 0) {
        if (is_stopped(arena)) { /* the signal interrupts it */
            return explain_stopped(reason);
        }
        return arena_explain_errno(reason, "no memory for %s of the arena %s: fallocate",
                                   what_is(pin->id).text, arena->directory);
    }
    if (!populated) {
        touch(pin->address, bytes, arena->page_bytes);
    }
    return CKPT_OK;
}

static enum ckpt_status lock(struct arena *arena, const struct pin *pin,
                             char reason[ARENA_REASON_BYTES])
{
    /* Huge pages are never swapped out. mlock2(),
     * because the sanitizers make mlock() do nothing. */
    if (arena->huge || arena->lock == ARENA_LOCK_OFF ||
        mlock2(pin->address, (size_t)pin->bytes, 0) == 0) {
        return CKPT_OK;
    }
    if (arena->lock == ARENA_LOCK_TRY) {
        atomic_store(&arena->unlocked, true);
        return CKPT_OK;
    }
    return arena_explain_errno(reason, "mlock(%s of the arena %s)", what_is(pin->id).text,
                               arena->directory);
}

enum ckpt_status arena_pin(struct arena *arena, const struct pin *pin,
                           char reason[ARENA_REASON_BYTES])
{
    if (mmap(pin->address, (size_t)pin->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
             pin->fd, (off_t)pin->offset) == MAP_FAILED) {
        return arena_explain_errno(reason, "mmap(%s of the arena %s)", what_is(pin->id).text,
                                   arena->directory);
    }
    enum ckpt_status status = bind_node(arena, pin, reason);
    if (status == CKPT_OK) {
        status = fault_in(arena, pin, reason);
    }
    if (status == CKPT_OK) {
        status = lock(arena, pin, reason);
    }
    /* A core file of the agent shall not hold a model's weights. */
    (void)madvise(pin->address, (size_t)pin->bytes, MADV_DONTDUMP);
    return status;
}

enum ckpt_status arena_file_make(struct arena *arena, const char *name, int *fd_out,
                                 char reason[ARENA_REASON_BYTES])
{
    if (unlinkat(arena->directory_fd, name, 0) != 0 && errno != ENOENT) {
        return arena_explain_errno(reason, "unlink(%s/%s)", arena->directory, name);
    }
    int fd = -1;
    enum ckpt_status status = arena_file_open(arena, name, true, &fd, reason);
    if (status != CKPT_OK) {
        return status;
    }
    if (ftruncate(fd, (off_t)arena->segment_bytes) != 0) {
        status = arena_explain_errno(reason, "truncate(%s/%s)", arena->directory, name);
        (void)unlinkat(arena->directory_fd, name, 0);
        (void)close(fd);
        return status;
    }
    *fd_out = fd;
    return CKPT_OK;
}

enum ckpt_status arena_segment_make(struct arena *arena, uint32_t id, const char *name,
                                    uint8_t *address, int *fd_out, char reason[ARENA_REASON_BYTES])
{
    struct pin pin = {
        .id = id, .bytes = arena_bytes_of(arena, arena_find(arena, id)), .address = address};
    enum ckpt_status status = arena_file_make(arena, name, &pin.fd, reason);
    if (status != CKPT_OK) {
        return status;
    }
    status = arena_pin(arena, &pin, reason);
    if (status != CKPT_OK) {
        (void)unlinkat(arena->directory_fd, name, 0);
        (void)close(pin.fd);
        return status;
    }
    *fd_out = pin.fd;
    return CKPT_OK;
}
