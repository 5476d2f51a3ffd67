/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/deadline.h"

#define CODE_MISSING 127
#define WAIT_MS 10

/* The end of the pipe, whose other end the child has, comes when it ends. */
static bool read_all(int fd, struct deadline deadline, char *output, size_t size)
{
    size_t used = 0;
    char spare[512];
    for (;;) {
        struct pollfd entry = {.fd = fd, .events = POLLIN};
        int ready = poll(&entry, 1, deadline_left_ms(deadline));
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        bool is_full = used == size - 1;
        ssize_t got = ready > 0 ? read(fd, is_full ? spare : output + used,
                                       is_full ? sizeof(spare) : size - 1 - used)
                                : -1;
        if (got <= 0) {
            output[used] = '\0';
            return ready > 0 && got == 0;
        }
        used += is_full ? 0 : (size_t)got;
    }
}

static enum child_end await(pid_t child, int fd, struct deadline deadline, char *output,
                            size_t size, int *code_out)
{
    int state = 0;
    pid_t ended = 0;
    bool is_read = read_all(fd, deadline, output, size);
    while (is_read && (ended = waitpid(child, &state, WNOHANG)) == 0 &&
           deadline_left_ms(deadline) > 0) {
        (void)poll(NULL, 0, WAIT_MS);
    }
    if (ended != child) {
        (void)kill(child, SIGKILL);
        (void)poll(NULL, 0, WAIT_MS);
        (void)waitpid(child, &state, WNOHANG);
        return CHILD_LATE;
    }
    *code_out = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    return CHILD_DONE;
}

/* What a child does with its end of the pipe. */
typedef void child_body(const void *context, int output);

static enum child_end fork_and_await(child_body *body, const void *context, uint32_t timeout_ms,
                                     char *output, size_t size, int *code_out)
{
    int ends[2];
    output[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return CHILD_MISSING;
    }
    struct deadline deadline = deadline_after_ms(timeout_ms);
    pid_t child = fork();
    if (child == 0) {
        body(context, ends[1]);
        _exit(CODE_MISSING);
    }
    int error = errno;
    (void)close(ends[1]);
    enum child_end end =
        child > 0 ? await(child, ends[0], deadline, output, size, code_out) : CHILD_MISSING;
    (void)close(ends[0]);
    errno = error;
    return end;
}

/* Whoever reads what this program says must not wait for a child that was left behind. */
static void point_streams(int output)
{
    int null = open("/dev/null", O_RDWR);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(output >= 0 ? output : null, STDOUT_FILENO);
    (void)dup2(output >= 0 ? output : null, STDERR_FILENO);
}

static void become(const void *context, int output)
{
    char *const *arguments = context;
    point_streams(output);
    (void)execvp(arguments[0], arguments);
}

enum child_end child_run(char *const *arguments, uint32_t timeout_ms, char *output_out,
                         size_t output_size, int *code_out)
{
    enum child_end end =
        fork_and_await(become, arguments, timeout_ms, output_out, output_size, code_out);
    if (end == CHILD_DONE && *code_out == CODE_MISSING) {
        errno = ENOENT;
        return CHILD_MISSING;
    }
    return end;
}

struct task {
    child_work *work;
    void *context;
};

static void work(const void *context, int output)
{
    const struct task *task = context;
    char text[1024] = "";
    point_streams(-1);
    int code = task->work(task->context, text, sizeof(text));
    if (write(output, text, strlen(text)) >= 0) {
        _exit(code);
    }
}

enum child_end child_do(child_work *what, void *context, uint32_t timeout_ms, char *output_out,
                        size_t output_size, int *code_out)
{
    struct task task = {what, context};
    return fork_and_await(work, &task, timeout_ms, output_out, output_size, code_out);
}
