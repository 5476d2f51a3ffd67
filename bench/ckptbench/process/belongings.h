/* SPDX-License-Identifier: Apache-2.0 */
/* What this program made and has to take away again, however it ends: child processes by their
 * ids, and one directory. SIGINT, SIGTERM and SIGHUP end the program through here. Children also
 * get SIGKILL from the kernel when their parent is killed. Any thread. */
#ifndef CKPTBENCH_BELONGINGS_H
#define CKPTBENCH_BELONGINGS_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Blocks the signals and starts the thread that waits for them; first thing in main. */
bool belongings_guard(void);

/* Makes a directory NAME.XXXXXX below parent. NULL: errno says why. Lives as long as the program.
 * One a program. */
const char *belongings_make_directory(const char *parent, const char *name);

/* Starts a program. output, when not below 0, becomes its standard output; errors, its standard
 * error; input, its standard input (else /dev/null). Returns its id, or -1 with errno. To be called
 * by the main thread alone: the kernel ties the child's life to the thread. */
pid_t belongings_start(const char *path, char *const argv[], int input, int output, int errors);

/* Waits for a child's own end; usage_out may be NULL. Returns its wait status, or -1. */
int belongings_wait(pid_t pid, struct rusage *usage_out);

/* Whether the child is still there. */
bool belongings_alive(pid_t pid);

/* When a signal is ending the program: does not return. What fails from then on fails because of
 * that, and is not to be told. */
void belongings_stand_by(void);

/* Ends the children (SIGTERM, after five seconds SIGKILL), the latest first, and removes the
 * directory. */
void belongings_end(void);

#endif
