/* SPDX-License-Identifier: Apache-2.0 */
#include "session/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum ckpt_status session_notify(const char *text)
{
    struct sockaddr_un manager = {.sun_family = AF_UNIX};
    const char *name = getenv("NOTIFY_SOCKET");
    if (!name || name[0] == '\0') {
        return CKPT_OK;
    }
    size_t bytes = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || bytes >= sizeof(manager.sun_path)) {
        return CKPT_ERR_INVALID;
    }
    memcpy(manager.sun_path, name, bytes);
    if (name[0] == '@') {
        /* An abstract name begins with a NUL. */
        manager.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return CKPT_ERR_SYSTEM;
    }
    ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
                          (const struct sockaddr *)&manager,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes));
    int error = errno;
    close(fd);
    errno = error;
    return sent >= 0 ? CKPT_OK : CKPT_ERR_SYSTEM;
}
