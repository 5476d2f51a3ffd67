/* SPDX-License-Identifier: Apache-2.0 */
/* The process at the other end of a UNIX socket. A child that it forked may hold the socket open
 * when it has died: what ends then is the session, as what it asked for was its own. */
#include "session/process.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "session/life.h"
#include "session/receive.h"
#include "session/schedule.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

#define READS_MAX 256 /* a living child might write for ever */

/* Its last words lie in the socket already: a process' descriptors close before its end is told. */
void session_process_ended(struct session *session)
{
    for (int i = 0; i < READS_MAX && session_read(session); i++) {
    }
    session->is_orphan = session->hub->is_paused && session->state == SESSION_OPEN;
    if (session->is_orphan) {
        session_hold(session);
    } else if (session->state != SESSION_DEAD) {
        session_end(session, CKPT_OK, "its process has ended");
    }
}

static void on_gone(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    session_process_ended(context);
}

/* On a kernel that does not hand out the peer itself there is its number alone. Another process may
 * have it by now: that one's user differs, or it is as good as none and ends some time. */
static int open_by_number(const struct session *session, pid_t pid)
{
    struct ucred again;
    socklen_t bytes = sizeof(again);
    int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (pidfd >= 0 && (getsockopt(session->fd, SOL_SOCKET, SO_PEERCRED, &again, &bytes) != 0 ||
                       again.pid != pid)) {
        close(pidfd);
        return -1;
    }
    return pidfd;
}

void session_watch_process(struct session *session, pid_t pid)
{
    int pidfd = -1;
    socklen_t bytes = sizeof(pidfd);
    if (getsockopt(session->fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &bytes) != 0) {
        pidfd = errno == ENOPROTOOPT ? open_by_number(session, pid) : -1;
    }
    if (pidfd < 0) {
        /* Gone already, out of sight, or no descriptor to be had: the socket's end has to do. */
        return;
    }
    session->process_event = event_new(session->hub->base, pidfd, EV_READ, on_gone, session);
    if (!session->process_event || event_add(session->process_event, NULL) != 0) {
        close(pidfd);
        return;
    }
    session->process = pidfd;
}
