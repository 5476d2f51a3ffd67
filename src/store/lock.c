/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/reason.h"
#include "store/errno_status.h"

static enum ckpt_status refuse_held(int fd, const char *path, char *reason_out)
{
    char text[16] = "";
    ssize_t bytes = pread(fd, text, sizeof(text) - 1, 0);
    text[bytes > 0 ? bytes : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return reason_refuse(
        reason_out, CKPT_ERR_BUSY,
        "another ckptctld (process %s) holds %s: stop it, or give this one a state "
        "directory of its own",
        text[0] ? text : "unknown", path);
}

enum ckpt_status store_lock_take(const char *path, int *fd_out, char *reason_out)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return reason_refuse(reason_out, store_errno_status(errno),
                             "cannot open the lock file %s: %s", path, strerror(errno));
    }
    enum ckpt_status status = CKPT_OK;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        status = errno == EWOULDBLOCK ? refuse_held(fd, path, reason_out)
                                      : reason_refuse(reason_out, CKPT_ERR_SYSTEM,
                                                      "cannot lock %s: %s", path, strerror(errno));
        goto close_file;
    }
    char text[16];
    int bytes = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)bytes, 0) != bytes) {
        status = reason_refuse(reason_out, store_errno_status(errno), "cannot write %s: %s", path,
                               strerror(errno));
        goto close_file;
    }
    *fd_out = fd;
    return CKPT_OK;

close_file:
    close(fd);
    return status;
}
