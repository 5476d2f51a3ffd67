/* SPDX-License-Identifier: Apache-2.0 */
/* Per-job mode: a Prolog starts the agent where no service does.
 *
 * slurmd reads the Prolog's output to its end and then kills the Prolog's process group: the agent
 * gets a session of its own, and no descriptor of the Prolog but the pipe that says when it is
 * ready. Nothing escapes a cgroup: under PrologFlags=RunInJob what a Prolog starts dies with the
 * job, so that is refused. One Prolog at a time starts: a lock beside the socket. */
#include "ckptctl/start_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ckptctl/pause.h"
#include "client/agent_link.h"
#include "base/reason.h"
#include "ckptctl/hook.h"

#define READY_FD 3
#define LOCK_PAUSE_MS 10

static bool agent_answers(const struct ctl *ctl, struct deadline deadline)
{
    struct message_job told = {.verb = JOB_SHOW, .job = "none"};
    struct message_job_told answer;
    char reason[CKPT_REASON_MAX + 1];
    enum ckpt_status status =
        hook_tell(ctl, &told, (uint32_t)deadline_left_ms(deadline_within_ms(deadline, 1000)),
                  &answer, reason);
    return status != CKPT_ERR_NO_AGENT && status != CKPT_ERR_LINK; /* one that hangs is there */
}

/* Whether this process is in a job's own cgroup, as under PrologFlags=RunInJob. */
static bool is_in_job(void)
{
    char line[4096];
    bool found = false;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        found = strstr(line, "/job_") != NULL || strstr(line, "step_extern") != NULL;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

static int lock_start(const struct ctl *ctl, struct deadline deadline)
{
    char path[512];
    const char *socket = hook_socket(ctl);
    const char *slash = strrchr(socket, '/');
    int length = slash != NULL ? (int)(slash - socket) : 1;
    (void)snprintf(path, sizeof(path), "%.*s", length, slash != NULL ? socket : ".");
    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%.*s/start.lock", length, slash != NULL ? socket : ".");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (deadline_left_ms(deadline) == 0) {
            (void)close(fd);
            return -1;
        }
        pause_ms(LOCK_PAUSE_MS);
    }
    return fd;
}

/* The socket's directory is the agent's: it makes and replaces the socket there. */
static bool own_directory(const struct ctl *ctl, const struct passwd *user)
{
    char path[512];
    const char *socket = hook_socket(ctl);
    const char *slash = strrchr(socket, '/');
    if (user == NULL || slash == NULL || slash == socket) {
        return true;
    }
    (void)snprintf(path, sizeof(path), "%.*s", (int)(slash - socket), socket);
    return chown(path, user->pw_uid, user->pw_gid) == 0;
}

__attribute__((noreturn)) static void die(const char *what)
{
    dprintf(READY_FD, "%s: %s\n", what, strerror(errno));
    _exit(EXIT_NO);
}

static void become(const struct passwd *user)
{
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    (void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
    if (user != NULL && (initgroups(user->pw_name, user->pw_gid) != 0 ||
                         setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)) {
        die("the agent's user cannot be taken on");
    }
}

/* A plain file becomes the agent's; a device, /dev/null say, stays whose it is. */
static void give_log(const struct ctl *ctl, int log, const struct passwd *user)
{
    struct stat info;
    if (user != NULL && (fstat(log, &info) != 0 ||
                         (S_ISREG(info.st_mode) && fchown(log, user->pw_uid, user->pw_gid) != 0))) {
        die(ctl->hook.agent_log);
    }
}

/* In the child of a child: nothing of the Prolog is left but the pipe, as descriptor 3. */
__attribute__((noreturn)) static void become_agent(const struct ctl *ctl, const struct passwd *user,
                                                   int ready)
{
    char config[600];
    char socket[600];
    char idle[64];
    char ready_flag[32];
    char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    if (ready != READY_FD && dup2(ready, READY_FD) < 0) {
        _exit(EXIT_NO);
    }
    (void)fcntl(READY_FD, F_SETFD, 0);
    int null = open("/dev/null", O_RDWR);
    int log = open(ctl->hook.agent_log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640);
    if (null < 0 || log < 0) {
        die(null < 0 ? "/dev/null" : ctl->hook.agent_log);
    }
    give_log(ctl, log, user);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(log, STDOUT_FILENO);
    (void)dup2(log, STDERR_FILENO);
    (void)close_range(READY_FD + 1, ~0U, 0);
    if (chdir("/") != 0) {
        die("/");
    }
    (void)umask(022);
    become(user);
    (void)snprintf(socket, sizeof(socket), "--socket=%s", hook_socket(ctl));
    (void)snprintf(config, sizeof(config), "--config=%s",
                   ctl->hook.agent_config != NULL ? ctl->hook.agent_config
                                                  : "/etc/ckptd/ckptd.conf");
    (void)snprintf(idle, sizeof(idle), "--idle-exit=%llums",
                   (unsigned long long)ctl->hook.idle_exit_ms);
    (void)snprintf(ready_flag, sizeof(ready_flag), "--ready-fd=%d", READY_FD);
    char agent[] = "ckptd";
    char *arguments[] = {agent, config, socket, idle, ready_flag, NULL};
    char *environment[] = {path, NULL};
    (void)execve(ctl->hook.agent, arguments, environment);
    die(ctl->hook.agent);
}

/* One line from the pipe: "ready", or why not. */
static enum ckpt_status await_ready(const struct ctl *ctl, int fd, struct deadline deadline,
                                    char *reason_out)
{
    char line[CKPT_REASON_MAX + 1];
    size_t bytes = 0;
    while (bytes < sizeof(line) - 1 && memchr(line, '\n', bytes) == NULL) {
        struct pollfd entry = {.fd = fd, .events = POLLIN};
        int ready = poll(&entry, 1, deadline_left_ms(deadline));
        ssize_t got = ready > 0 ? read(fd, line + bytes, sizeof(line) - 1 - bytes) : -1;
        if (ready == 0) {
            return reason_refuse(
                reason_out, CKPT_ERR_TIMEOUT,
                "ckptd is not ready within %u ms and goes on starting: a large arena "
                "takes longer, run it as a service; its log is %.80s",
                ctl->hook.start_timeout_ms, ctl->hook.agent_log);
        }
        if (got == 0) {
            break;
        }
        bytes += got > 0 ? (size_t)got : 0;
    }
    line[bytes] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "ready") == 0) {
        return CKPT_OK;
    }
    return reason_refuse(reason_out, CKPT_ERR_NO_AGENT,
                         "ckptd did not start: %.140s; its log is %.80s",
                         line[0] != '\0' ? line : "it ended without a word", ctl->hook.agent_log);
}

static enum ckpt_status start(const struct ctl *ctl, struct deadline deadline, char *reason_out)
{
    const struct passwd *user = NULL;
    int ends[2];
    if (ctl->hook.agent_user != NULL) {
        user = getpwnam(ctl->hook.agent_user);
        if (user == NULL) {
            return reason_refuse(reason_out, CKPT_ERR_CONFIG,
                                 "[slurm] agent_user: there is no user '%.60s' on this node",
                                 ctl->hook.agent_user);
        }
    }
    if (!own_directory(ctl, user) || pipe2(ends, O_CLOEXEC) != 0) {
        return reason_refuse(reason_out, CKPT_ERR_SYSTEM, "ckptd cannot be started: %s",
                             strerror(errno));
    }
    pid_t child = fork();
    if (child == 0) {
        if (setsid() < 0 || fork() != 0) {
            _exit(EXIT_DONE);
        }
        become_agent(ctl, user, ends[1]);
    }
    (void)close(ends[1]);
    enum ckpt_status status = CKPT_ERR_SYSTEM;
    if (child < 0) {
        reason_set(reason_out, "fork: %s", strerror(errno));
    } else {
        (void)waitpid(child, NULL, 0);
        status = await_ready(ctl, ends[0], deadline, reason_out);
    }
    (void)close(ends[0]);
    return status;
}

enum ckpt_status hook_start_agent(const struct ctl *ctl, char *reason_out)
{
    struct deadline deadline = deadline_after_ms(ctl->hook.start_timeout_ms);
    if (agent_answers(ctl, deadline)) {
        return CKPT_OK;
    }
    if (is_in_job()) {
        return reason_refuse(
            reason_out, CKPT_ERR_CONFIG,
            "a Prolog inside the job (PrologFlags=RunInJob) cannot start ckptd, as it "
            "would die with the job: run ckptd.service and set [slurm] mode = service");
    }
    int lock = lock_start(ctl, deadline);
    if (lock < 0) {
        return reason_refuse(
            reason_out, CKPT_ERR_TIMEOUT,
            "the directory of %.100s cannot be locked (%s): does another Prolog hang",
            hook_socket(ctl), strerror(errno));
    }
    enum ckpt_status status =
        agent_answers(ctl, deadline) ? CKPT_OK : start(ctl, deadline, reason_out);
    (void)close(lock);
    return status;
}
