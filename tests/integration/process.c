/* SPDX-License-Identifier: Apache-2.0 */
#include "integration/process.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 64
#define WAIT_SECONDS 30

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void nap(void)
{
    struct timespec time = {.tv_nsec = 2000000};
    nanosleep(&time, NULL);
}

static void become(const char *program, const char *const *arguments,
                   const char *const *environment, const char *log, pid_t parent)
{
    char *argv[ARGUMENTS_MAX] = {(char *)(uintptr_t)program};
    static char *const bare[] = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", NULL};
    char *envp[ARGUMENTS_MAX] = {bare[0], bare[1]};
    for (int i = 0; arguments[i] && i < ARGUMENTS_MAX - 2; i++) {
        argv[i + 1] = (char *)(uintptr_t)arguments[i];
    }
    for (int i = 0; environment && environment[i] && i < ARGUMENTS_MAX - 3; i++) {
        envp[i + 2] = (char *)(uintptr_t)environment[i];
    }
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fd < 0 || getppid() != parent || dup2(fd, STDOUT_FILENO) < 0 ||
        dup2(fd, STDERR_FILENO) < 0) {
        _exit(126);
    }
    execve(program, argv, envp);
    _exit(127);
}

void process_start(struct process *process, const char *program, const char *const *arguments,
                   const char *const *environment, const char *log)
{
    pid_t parent = getpid();
    if (log != process->log) {
        snprintf(process->log, sizeof(process->log), "%s", log);
    }
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        become(program, arguments, environment, log, parent);
    }
    process->pid = child;
}

static char *read_log(const struct process *process, size_t *bytes_out)
{
    size_t room = 1 << 22;
    char *text = calloc(1, room + 1);
    int fd = open(process->log, O_RDONLY);
    ssize_t got = fd >= 0 ? read(fd, text, room) : 0;
    if (fd >= 0) {
        close(fd);
    }
    *bytes_out = got > 0 ? (size_t)got : 0;
    return text;
}

size_t process_log_bytes(const struct process *process)
{
    struct stat status;
    return stat(process->log, &status) == 0 ? (size_t)status.st_size : 0;
}

bool process_logged(const struct process *process, const char *text)
{
    size_t bytes;
    char *log = read_log(process, &bytes);
    bool found = strstr(log, text) != NULL;
    free(log);
    return found;
}

void process_await(struct process *process, const char *text, size_t from, char *line_out,
                   size_t size)
{
    double end = seconds() + WAIT_SECONDS;
    for (;;) {
        size_t bytes;
        char *log = read_log(process, &bytes);
        char *found = from < bytes ? strstr(log + from, text) : NULL;
        /* A line is there when it has ended. */
        if (found && strchr(found, '\n')) {
            while (found > log && found[-1] != '\n') {
                found--;
            }
            if (line_out) {
                snprintf(line_out, size, "%.*s", (int)strcspn(found, "\n"), found);
            }
            free(log);
            return;
        }
        siginfo_t ended = {.si_pid = 0};
        waitid(P_PID, (id_t)process->pid, &ended, WEXITED | WNOHANG | WNOWAIT);
        if (ended.si_pid != 0 || seconds() > end) {
            fprintf(stderr, "%s", log);
            free(log);
            fail_msg("'%s' did not come%s", text, ended.si_pid ? ": the process ended" : "");
            return;
        }
        free(log);
        nap();
    }
}

void process_signal(const struct process *process, int signal_number)
{
    assert_true(process->pid > 0);
    assert_int_equal(kill(process->pid, signal_number), 0);
}

int process_wait(struct process *process)
{
    double end = seconds() + WAIT_SECONDS;
    int status;
    while (waitpid(process->pid, &status, WNOHANG) == 0) {
        if (seconds() > end) {
            process_kill(process);
            fail_msg("the process did not end");
        }
        nap();
    }
    process->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void process_kill(struct process *process)
{
    if (process->pid > 0) {
        kill(process->pid, SIGKILL);
        waitpid(process->pid, NULL, 0);
        process->pid = 0;
    }
}
