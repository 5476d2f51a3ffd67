/* SPDX-License-Identifier: Apache-2.0 */
#include "store/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/reason.h"
#include "store/errno_status.h"

#define MARK_MAGIC 0x4b4d4b43u /* "CKMK" */

enum ckpt_status store_mark_open(const char *path, int *fd_out, uint64_t *row_out, char *reason_out)
{
    uint8_t bytes[STORE_MARK_BYTES];
    enum ckpt_status status = CKPT_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return reason_refuse(reason_out, store_errno_status(errno), "cannot open %s: %s", path,
                             strerror(errno));
    }
    ssize_t got = pread(fd, bytes, sizeof(bytes), 0);
    if (got < 0) {
        status =
            reason_refuse(reason_out, CKPT_ERR_SYSTEM, "cannot read %s: %s", path, strerror(errno));
        goto close_file;
    }
    if (got == 0) {
        *row_out = 0;
        errno = 0;
        if (store_mark_write(fd, 0) != CKPT_OK) { /* from now on a write needs no room */
            status = reason_refuse(reason_out, store_errno_status(errno), "cannot write %s: %s",
                                   path, strerror(errno));
            (void)!ftruncate(fd, 0);
            goto close_file;
        }
    } else if (got == sizeof(bytes) && load_le32(bytes) == MARK_MAGIC &&
               load_le32(bytes + 4) == crc32c(0, bytes + 8, 8)) {
        *row_out = load_le64(bytes + 8);
    } else {
        status = reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                               "%s is damaged: look at the disk; the mark only guards the database "
                               "beside it, and may be removed when that is known to be good",
                               path);
        goto close_file;
    }
    *fd_out = fd;
    return CKPT_OK;

close_file:
    close(fd);
    return status;
}

enum ckpt_status store_mark_write(int fd, uint64_t row)
{
    uint8_t bytes[STORE_MARK_BYTES];
    store_le32(bytes, MARK_MAGIC);
    store_le64(bytes + 8, row);
    store_le32(bytes + 4, crc32c(0, bytes + 8, 8));
    return pwrite(fd, bytes, sizeof(bytes), 0) == sizeof(bytes) ? CKPT_OK : CKPT_ERR_DISK;
}
