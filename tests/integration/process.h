/* SPDX-License-Identifier: Apache-2.0 */
/* A program under test as a child process, with what it logs in a file. */
#ifndef TESTS_INTEGRATION_PROCESS_H
#define TESTS_INTEGRATION_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process {
    pid_t pid; /* 0: ended and waited for */
    char log[256];
};

/* Starts a program. arguments and environment (entries "NAME=value", in addition to a bare one) end
 * with NULL; environment may be NULL. Standard output and error are appended to the file `log`. The
 * child is killed when the test process ends. Fails the test when it can't be started. */
void process_start(struct process *process, const char *program, const char *const *arguments,
                   const char *const *environment, const char *log);

/* Waits until the log has `text` after byte `from`, for 30 seconds at most; fails the test, and
 * shows the log, when it does not come or the process has ended before. line_out, of size bytes,
 * gets the line; it may be NULL. */
void process_await(struct process *process, const char *text, size_t from, char *line_out,
                   size_t size);

/* Bytes of the log so far. */
size_t process_log_bytes(const struct process *process);

/* Whether the log has the text. */
bool process_logged(const struct process *process, const char *text);

void process_signal(const struct process *process, int signal_number);

/* Waits for the end, for 30 seconds at most. The exit code; or 128 + the signal that ended it. */
int process_wait(struct process *process);

/* Kills and waits, where it is still there. */
void process_kill(struct process *process);

#endif
