/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/posix_read.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/reason.h"
#include "tier/errno_class.h"
#include "tier/posix_place.h"
#include "tier/ring.h"

/* Several blocks at once. 0, or an errno. */
static int read_blocks(const struct posix *posix, int fd, uint64_t offset, uint8_t *into,
                       size_t bytes)
{
    struct ring *ring = malloc(sizeof(*ring));
    struct ring_block *block;
    if (ring == NULL) {
        return ENOMEM;
    }
    ring_begin(ring, fd, posix->options.depth, posix->options.timeout_ms);
    while (bytes > 0 && ring_block(ring, &block)) {
        size_t part = bytes < RING_BLOCK_BYTES ? bytes : RING_BLOCK_BYTES;
        if (!ring_go(ring, block, true, into, part, offset)) {
            break;
        }
        into += part;
        offset += part;
        bytes -= part;
    }
    (void)ring_wait(ring);
    int error = ring->error;
    ring_end(ring);
    free(ring);
    return error;
}

static int read_open(const struct posix *posix, const char *name, int flags, uint64_t offset,
                     void *into, size_t bytes)
{
    uint64_t file_bytes;
    int fd = posix_open_file(posix, name, flags, &file_bytes);
    if (fd < 0) {
        return errno;
    }
    int error = offset > file_bytes || bytes > file_bytes - offset
                    ? ENODATA
                    : read_blocks(posix, fd, offset, into, bytes);
    close(fd);
    return error;
}

enum ckpt_status posix_read(struct tier_medium *medium, const char *name, uint64_t offset,
                            void *into, size_t bytes, char *reason_out)
{
    const struct posix *posix = (struct posix *)medium;
    uint8_t *to = into;
    bool is_aligned = offset % RING_ALIGN == 0 && (uintptr_t)into % RING_ALIGN == 0;
    size_t whole = posix->is_direct && is_aligned ? bytes & ~(size_t)(RING_ALIGN - 1) : 0;
    int error = whole > 0 ? read_open(posix, name, O_DIRECT, offset, to, whole) : 0;
    if (error == 0 && (bytes > whole || bytes == 0)) {
        error = read_open(posix, name, 0, offset + whole, to + whole, bytes - whole);
    }
    return error == 0 ? CKPT_OK : errno_refuse(reason_out, error, "cannot read", name);
}

enum ckpt_status posix_load(struct tier_medium *medium, const char *name, size_t bytes_max,
                            char **text_out, size_t *bytes_out, char *reason_out)
{
    const struct posix *posix = (struct posix *)medium;
    uint64_t bytes;
    int fd = posix_open_file(posix, name, 0, &bytes);
    if (fd < 0) {
        return errno_refuse(reason_out, errno, "cannot read", name);
    }
    close(fd);
    if (bytes > bytes_max) {
        return reason_refuse(reason_out, CKPT_ERR_TOO_LARGE,
                             "cannot read %s: it has %" PRIu64 " bytes, at most %zu are expected",
                             name, bytes, bytes_max);
    }
    char *text = malloc(bytes + 1);
    if (text == NULL) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory to read %s", name);
    }
    int error = bytes > 0 ? read_open(posix, name, 0, 0, text, bytes) : 0;
    if (error != 0) {
        free(text);
        return errno_refuse(reason_out, error, "cannot read", name);
    }
    text[bytes] = '\0';
    *text_out = text;
    *bytes_out = bytes;
    return CKPT_OK;
}
