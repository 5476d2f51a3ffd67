/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept and aligned goes to the disk from where it lies; the rest is gathered into blocks of
 * the ring's own first. The last block is filled up with zeros, as O_DIRECT wants it, and cut off
 * again before the file is durable. */
#include "tier/posix_write.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault_point.h"
#include "base/reason.h"
#include "tier/errno_class.h"
#include "tier/name.h"
#include "tier/posix_place.h"
#include "tier/ring.h"

struct posix_writer {
    struct tier_writer writer;
    struct posix_temporary temporary;
    struct tier_name name;
    int fd;
    uint64_t bytes;              /* appended */
    uint64_t given;              /* of these, given to the ring */
    struct ring_block *gathered; /* the block that is being filled; NULL: none */
    size_t gathered_bytes;
    struct ring ring;
};

static struct posix *posix_of(const struct posix_writer *writer)
{
    return (struct posix *)writer->writer.medium;
}

static enum ckpt_status refuse(const struct posix_writer *writer, char *reason_out)
{
    assert(writer->ring.error != 0);
    return errno_refuse(reason_out, writer->ring.error, "cannot write", writer->name.text);
}

enum ckpt_status posix_begin(struct tier_medium *medium, const char *name, uint64_t bytes,
                             struct tier_writer **writer_out, char *reason_out)
{
    struct posix *posix = (struct posix *)medium;
    struct tier_name none = {""};
    struct posix_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory to write %s", name);
    }
    writer->writer.medium = medium;
    writer->name = tier_name_in(&none, name);
    writer->fd = posix_open_temporary(posix, posix->is_direct ? O_DIRECT : 0, &writer->temporary);
    if (writer->fd < 0) {
        int error = errno;
        free(writer);
        return errno_refuse(reason_out, error, "cannot make a file for", name);
    }
    /* Room for all of it is found missing before any of it is written, and writes that do not make
     * the file longer go side by side. A file system that cannot, does without. */
    if (bytes > 0 && fallocate(writer->fd, 0, 0, (off_t)bytes) != 0 &&
        errno_class(errno) == CKPT_ERR_FULL) {
        enum ckpt_status status = errno_refuse(reason_out, errno, "no room for", name);
        close(writer->fd);
        (void)unlinkat(posix->incoming, writer->temporary.text, 0);
        free(writer);
        return status;
    }
    ring_begin(&writer->ring, writer->fd, posix->options.depth, posix->options.timeout_ms);
    if (!writer->ring.is_uring && posix->options.notice != NULL) {
        posix->options.notice(posix->options.context,
                              "io_uring is not allowed here: one write at a time");
    }
    *writer_out = &writer->writer;
    return CKPT_OK;
}

static bool give(struct posix_writer *writer, struct ring_block *block, const void *data,
                 size_t bytes)
{
    uint64_t offset = writer->given;
    writer->given += bytes;
    return ring_go(&writer->ring, block, false, (void *)(uintptr_t)data, bytes, offset);
}

/* From where it lies: whole pages of it. How many bytes; 0: something failed. */
static size_t give_in_place(struct posix_writer *writer, const uint8_t *data, size_t bytes)
{
    struct ring_block *block;
    size_t whole = bytes & ~(size_t)(RING_ALIGN - 1);
    size_t part = whole < RING_BLOCK_BYTES ? whole : RING_BLOCK_BYTES;
    return ring_block(&writer->ring, &block) && give(writer, block, data, part) ? part : 0;
}

static size_t gather(struct posix_writer *writer, const uint8_t *data, size_t bytes)
{
    if (writer->gathered == NULL) {
        if (!ring_block(&writer->ring, &writer->gathered) ||
            !ring_own(&writer->ring, writer->gathered)) {
            return 0;
        }
        writer->gathered->is_busy = true; /* by us */
        writer->gathered_bytes = 0;
    }
    size_t room = RING_BLOCK_BYTES - writer->gathered_bytes;
    size_t part = bytes < room ? bytes : room;
    memcpy(writer->gathered->own + writer->gathered_bytes, data, part);
    writer->gathered_bytes += part;
    if (writer->gathered_bytes == RING_BLOCK_BYTES) {
        struct ring_block *block = writer->gathered;
        writer->gathered = NULL;
        return give(writer, block, block->own, RING_BLOCK_BYTES) ? part : 0;
    }
    return part;
}

enum ckpt_status posix_append(struct tier_writer *on, const void *data, size_t bytes, bool is_kept,
                              char *reason_out)
{
    struct posix_writer *writer = (struct posix_writer *)on;
    const uint8_t *at = data;
    writer->bytes += bytes;
    while (bytes > 0) {
        bool in_place = is_kept && writer->gathered == NULL && bytes >= RING_ALIGN &&
                        (uintptr_t)at % RING_ALIGN == 0;
        size_t part = in_place ? give_in_place(writer, at, bytes) : gather(writer, at, bytes);
        if (part == 0) {
            return refuse(writer, reason_out);
        }
        at += part;
        bytes -= part;
    }
    return CKPT_OK;
}

/* The last block, which need not be a whole one. */
static bool give_rest(struct posix_writer *writer)
{
    struct ring_block *block = writer->gathered;
    if (block == NULL) {
        return writer->ring.error == 0;
    }
    size_t whole = (writer->gathered_bytes + RING_ALIGN - 1) & ~(size_t)(RING_ALIGN - 1);
    memset(block->own + writer->gathered_bytes, 0, whole - writer->gathered_bytes);
    writer->gathered = NULL;
    return give(writer, block, block->own, whole);
}

static bool make_durable(struct posix_writer *writer)
{
    if (!give_rest(writer) || !ring_wait(&writer->ring)) {
        return false;
    }
    if (ftruncate(writer->fd, (off_t)writer->bytes) != 0) {
        writer->ring.error = errno;
        return false;
    }
    FAULT_POINT(tier_before_sync);
    return ring_sync(&writer->ring);
}

static void give_up(struct posix_writer *writer)
{
    if (writer->gathered != NULL) {
        writer->gathered->is_busy = false;
    }
    ring_end(&writer->ring);
    close(writer->fd);
    (void)unlinkat(posix_of(writer)->incoming, writer->temporary.text, 0);
    free(writer);
}

enum ckpt_status posix_end(struct tier_writer *on, char *reason_out)
{
    struct posix_writer *writer = (struct posix_writer *)on;
    enum ckpt_status status = CKPT_OK;
    if (!make_durable(writer)) {
        status = refuse(writer, reason_out);
    } else {
        FAULT_POINT(tier_before_name);
        if (!posix_name(posix_of(writer), &writer->temporary, writer->name.text, false)) {
            status = errno_refuse(reason_out, errno, "cannot name", writer->name.text);
        }
    }
    give_up(writer);
    return status;
}

void posix_discard(struct tier_writer *on)
{
    give_up((struct posix_writer *)on);
}
