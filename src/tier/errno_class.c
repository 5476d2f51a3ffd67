/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/errno_class.h"

#include <errno.h>
#include <string.h>

#include "base/reason.h"

enum ckpt_status errno_class(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* RLIMIT_FSIZE, or more than the file system takes in one file */
        return CKPT_ERR_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return CKPT_ERR_DENIED;
    case ENOENT:
        return CKPT_ERR_NOT_FOUND;
    case ETIMEDOUT:
        return CKPT_ERR_TIMEOUT;
    case ELOOP: /* a link, or a way out: openat2() */
    case EXDEV:
    case ENOTDIR:
    case EISDIR:
    case ENODATA:
        return CKPT_ERR_CORRUPT;
    case ENOMEM:
        return CKPT_ERR_MEMORY;
    case EMFILE:
    case ENFILE:
    case ENOSYS:
        return CKPT_ERR_SYSTEM;
    default:
        return CKPT_ERR_DISK;
    }
}

static const char *text_of(int error)
{
    switch (error) {
    case ELOOP:
        return "a symbolic link is not followed";
    case ENODATA:
        return "the file ends before";
    case ETIMEDOUT:
        return "no answer in time: the file system hangs";
    default:
        return strerrordesc_np(error);
    }
}

enum ckpt_status errno_refuse(char *reason_out, int error, const char *what, const char *path)
{
    const char *text = text_of(error);
    return reason_refuse(reason_out, errno_class(error), "%s %s: %s", what, path,
                         text != NULL ? text : "unknown error");
}
