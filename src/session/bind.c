/* SPDX-License-Identifier: Apache-2.0 */
/* An address is taken, then listened at, then served. */
#include "session/bind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reason.h"
#include "session/address.h"
#include "session/listen.h"

#define LOCK_SUFFIX ".lock"
#define LOCK_TRIES 8 /* each time another program has just given the lock up */

void listener_free(struct listener *listener)
{
    if (listener->accept_event) {
        event_free(listener->accept_event);
    }
    if (listener->retry_event) {
        event_free(listener->retry_event);
    }
    if (listener->fd >= 0) {
        close(listener->fd);
    }
    if (listener->path[0]) {
        unlink(listener->path);
    }
    if (listener->lock_fd >= 0) {
        char lock[sizeof(listener->path) + sizeof(LOCK_SUFFIX)];
        snprintf(lock, sizeof(lock), "%s%s", listener->locked_path, LOCK_SUFFIX);
        unlink(lock); /* while it is held: see take_lock */
        close(listener->lock_fd);
    }
    free(listener);
}

/* Makes the socket's own directory, as after a boot /run is empty. */
static enum ckpt_status make_parent(const char *path, char *reason_out)
{
    char parent[CKPT_ADDRESS_MAX + 1];
    snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    if (!slash || slash == parent) {
        return CKPT_OK;
    }
    *slash = '\0';
    if (mkdir(parent, 0755) == 0) {
        /* Whatever the umask: other users must get through. */
        (void)chmod(parent, 0755);
    } else if (access(parent, F_OK) != 0) {
        return reason_refuse(reason_out, CKPT_ERR_SYSTEM,
                             "the directory of %s is not there and cannot be made: %s", path,
                             strerror(errno));
    }
    return CKPT_OK;
}

/* One program at a time has the path, from before its socket answers until after it is gone. The
 * file that was locked must still be the one of that name:
 * who had it before may have removed it. */
static enum ckpt_status take_lock(struct listener *listener, const char *path, char *reason_out)
{
    char lock[sizeof(listener->path) + sizeof(LOCK_SUFFIX)];
    snprintf(lock, sizeof(lock), "%s%s", path, LOCK_SUFFIX);
    for (int i = 0; i < LOCK_TRIES; i++) {
        struct stat locked;
        struct stat named;
        int fd = open(lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0) {
            return reason_refuse(reason_out, CKPT_ERR_SYSTEM, "cannot lock %s by %s%s: %s", path,
                                 path, LOCK_SUFFIX, strerror(errno));
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            close(fd);
            return reason_refuse(reason_out, CKPT_ERR_BUSY,
                                 "another process listens at %s, or is about to", path);
        }
        if (fstat(fd, &locked) == 0 && lstat(lock, &named) == 0 && locked.st_ino == named.st_ino &&
            locked.st_dev == named.st_dev) {
            listener->lock_fd = fd;
            snprintf(listener->locked_path, sizeof(listener->locked_path), "%s", path);
            return CKPT_OK;
        }
        close(fd);
    }
    return reason_refuse(reason_out, CKPT_ERR_BUSY, "other processes take %s in turn", path);
}

/* A UNIX socket outlives its program: it is in the way only when nobody answers at it. */
static enum ckpt_status clear_path(const char *path, const struct address *address,
                                   char *reason_out)
{
    struct stat status;
    if (lstat(path, &status) != 0) {
        return CKPT_OK;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return reason_refuse(reason_out, CKPT_ERR_SYSTEM, "%s is there and is no socket", path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool answers =
        fd >= 0 && (connect(fd, (const struct sockaddr *)&address->socket, address->bytes) == 0 ||
                    errno == EAGAIN);
    if (fd >= 0) {
        close(fd);
    }
    if (answers) {
        return reason_refuse(reason_out, CKPT_ERR_BUSY, "another process listens at %s", path);
    }
    if (unlink(path) != 0) {
        return reason_refuse(reason_out, CKPT_ERR_SYSTEM, "cannot replace %s: %s", path,
                             strerror(errno));
    }
    return CKPT_OK;
}

static enum ckpt_status take_path(struct listener *listener, const char *path,
                                  const struct address *address, char *reason_out)
{
    enum ckpt_status status = make_parent(path, reason_out);
    if (status == CKPT_OK) {
        status = take_lock(listener, path, reason_out);
    }
    return status == CKPT_OK ? clear_path(path, address, reason_out) : status;
}

static enum ckpt_status refuse_socket(const struct listener *listener, char *reason_out)
{
    enum ckpt_status status = errno == EADDRINUSE ? CKPT_ERR_BUSY : CKPT_ERR_SYSTEM;
    return reason_refuse(reason_out, status, "cannot listen at %s: %s", listener->name,
                         strerror(errno));
}

static enum ckpt_status bind_socket(struct listener *listener, const struct address *address,
                                    mode_t mode, char *reason_out)
{
    int on = 1;
    const char *name = listener->name;
    listener->fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0) {
        return refuse_socket(listener, reason_out);
    }
    if (!address_is_path(name)) {
        (void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (bind(listener->fd, (const struct sockaddr *)&address->socket, address->bytes) != 0) {
        return refuse_socket(listener, reason_out);
    }
    if (address_is_path(name)) {
        snprintf(listener->path, sizeof(listener->path), "%s", name);
        return chmod(name, mode) == 0 ? CKPT_OK : refuse_socket(listener, reason_out);
    }
    return CKPT_OK;
}

enum ckpt_status session_bind(struct session_hub *hub, const char *address, mode_t mode,
                              const struct session_door *door, const struct session_events *events,
                              void *context, char *address_out, char *reason_out)
{
    struct address resolved;
    enum ckpt_status status = address_resolve(address, true, &resolved, reason_out);
    if (status != CKPT_OK) {
        return status;
    }
    struct listener *listener = calloc(1, sizeof(*listener));
    if (!listener) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory to listen at %s", address);
    }
    *listener = (struct listener){
        .hub = hub, .door = *door, .events = events, .context = context, .fd = -1, .lock_fd = -1};
    snprintf(listener->name, sizeof(listener->name), "%s", address);
    if (address_is_path(address)) {
        status = take_path(listener, address, &resolved, reason_out);
    }
    if (status == CKPT_OK) {
        status = bind_socket(listener, &resolved, mode, reason_out);
    }
    if (status != CKPT_OK) {
        listener_free(listener);
        return status;
    }
    if (address_out) {
        resolved.bytes = sizeof(resolved.socket);
        getsockname(listener->fd, (struct sockaddr *)&resolved.socket, &resolved.bytes);
        address_text(&resolved, address_out);
    }
    listener->next = hub->listeners;
    hub->listeners = listener;
    return CKPT_OK;
}

enum ckpt_status session_hub_listen(struct session_hub *hub, char *reason_out)
{
    for (struct listener *listener = hub->listeners; listener; listener = listener->next) {
        if (!listener->is_listening && listen(listener->fd, SOMAXCONN) != 0) {
            return refuse_socket(listener, reason_out);
        }
        listener->is_listening = true;
    }
    return CKPT_OK;
}

enum ckpt_status session_hub_serve(struct session_hub *hub, char *reason_out)
{
    enum ckpt_status status = session_hub_listen(hub, reason_out);
    for (struct listener *listener = hub->listeners; listener && status == CKPT_OK;
         listener = listener->next) {
        if (!listener->accept_event && !listener_serve(listener)) {
            status = reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory to listen at %s",
                                   listener->name);
        }
    }
    return status;
}

enum ckpt_status session_listen(struct session_hub *hub, const char *address, mode_t mode,
                                const struct session_events *events, void *context,
                                char *address_out, char *reason_out)
{
    const struct session_door open_to_all = {.sessions_max = 0};
    return session_listen_behind(hub, address, mode, &open_to_all, events, context, address_out,
                                 reason_out);
}

enum ckpt_status session_listen_behind(struct session_hub *hub, const char *address, mode_t mode,
                                       const struct session_door *door,
                                       const struct session_events *events, void *context,
                                       char *address_out, char *reason_out)
{
    enum ckpt_status status =
        session_bind(hub, address, mode, door, events, context, address_out, reason_out);
    if (status == CKPT_OK) {
        status = session_hub_serve(hub, reason_out);
        if (status != CKPT_OK) {
            struct listener *listener = hub->listeners; /* just bound */
            hub->listeners = listener->next;
            listener_free(listener);
        }
    }
    return status;
}
