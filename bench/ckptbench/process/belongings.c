/* SPDX-License-Identifier: Apache-2.0 */
#include "process/belongings.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process/progress.h"

#define CHILDREN_MAX 16
#define END_TRIES 500 /* of 10 ms */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t children[CHILDREN_MAX];
static size_t child_count;
static char directory[PATH_MAX];
static atomic_bool signalled;

static void end_all(void);

static sigset_t ending_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

static void *wait_for_signal(void *unused)
{
    sigset_t set = ending_signals();
    int number = 0;
    (void)unused;
    while (sigwait(&set, &number) != 0) {
    }
    atomic_store(&signalled, true);
    progress_clear();
    fprintf(stderr, "ckptbench: %s: ending\n", strsignal(number));
    end_all();
    _exit(128 + number);
}

bool belongings_guard(void)
{
    sigset_t set = ending_signals();
    pthread_t thread;
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0 ||
        pthread_create(&thread, NULL, wait_for_signal, NULL) != 0) {
        return false;
    }
    pthread_detach(thread);
    return true;
}

const char *belongings_make_directory(const char *parent, const char *name)
{
    pthread_mutex_lock(&lock);
    const char *made = NULL;
    if ((size_t)snprintf(directory, sizeof(directory), "%s/%s.XXXXXX", parent, name) >=
        sizeof(directory)) {
        errno = ENAMETOOLONG;
    } else {
        made = mkdtemp(directory);
    }
    if (made == NULL) {
        directory[0] = '\0';
    }
    pthread_mutex_unlock(&lock);
    return made;
}

/* In the child, between fork and exec. */
static void become(const char *path, char *const argv[], int input, int output, int errors,
                   pid_t parent)
{
    sigset_t set = ending_signals();
    int null = open("/dev/null", O_RDWR);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(127);
    }
    if (dup2(input >= 0 ? input : null, STDIN_FILENO) < 0 ||
        (output >= 0 && dup2(output, STDOUT_FILENO) < 0) ||
        (errors >= 0 && dup2(errors, STDERR_FILENO) < 0)) {
        _exit(127);
    }
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    execv(path, argv);
    _exit(127);
}

pid_t belongings_start(const char *path, char *const argv[], int input, int output, int errors)
{
    pid_t parent = getpid();
    pthread_mutex_lock(&lock);
    pid_t pid = -1;
    if (child_count == CHILDREN_MAX || atomic_load(&signalled)) {
        errno = EAGAIN;
    } else {
        pid = fork();
    }
    if (pid == 0) {
        become(path, argv, input, output, errors, parent);
    }
    if (pid > 0) {
        children[child_count++] = pid;
    }
    pthread_mutex_unlock(&lock);
    return pid;
}

static void forget(pid_t pid)
{
    for (size_t i = 0; i < child_count; i++) {
        if (children[i] == pid) {
            memmove(&children[i], &children[i + 1], (child_count - i - 1) * sizeof(children[0]));
            child_count--;
            return;
        }
    }
}

/* Reaps under the lock: whoever ends the children never signals an id that is no longer theirs. */
int belongings_wait(pid_t pid, struct rusage *usage_out)
{
    siginfo_t info;
    int status = -1;
    int result;
    do {
        result = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    } while (result < 0 && errno == EINTR);
    pthread_mutex_lock(&lock);
    pid_t ended = wait4(pid, &status, WNOHANG, usage_out);
    forget(pid);
    pthread_mutex_unlock(&lock);
    return ended == pid ? status : -1;
}

/* Looks without reaping, so that the id stays the child's own until it is forgotten. */
bool belongings_alive(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

static void end_child(pid_t pid)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    kill(pid, SIGTERM);
    for (int i = 0; i < END_TRIES && belongings_alive(pid); i++) {
        nanosleep(&pause, NULL);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

static void end_all(void)
{
    pthread_mutex_lock(&lock);
    while (child_count > 0) {
        end_child(children[--child_count]);
    }
    if (directory[0] != '\0') {
        nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        directory[0] = '\0';
    }
    pthread_mutex_unlock(&lock);
}

void belongings_stand_by(void)
{
    while (atomic_load(&signalled)) {
        pause();
    }
}

void belongings_end(void)
{
    end_all();
    belongings_stand_by();
}
