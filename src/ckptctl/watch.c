/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ckptctl/link.h"
#include "ckptctl/pause.h"

/* Home, erase, and lines that are cut at the edge: what each picture begins with and ends with. */
#define SCREEN_BEGIN "\033[H\033[2J\033[?7l"
#define SCREEN_END "\033[?7h"

#define ROWS_DEFAULT 24

static volatile sig_atomic_t terminal = -1; /* standard output, where that is one */

static void on_end(int number)
{
    (void)number;
    if (terminal >= 0) {
        ssize_t written = write(terminal, "\n", 1);
        (void)written;
    }
    _exit(EXIT_DONE);
}

static void catch_end(void)
{
    struct sigaction action = {.sa_handler = on_end};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* "2026-11-29T20:50:00+01:00" */
static void write_time(char text_out[40])
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    (void)localtime_r(&now.tv_sec, &parts);
    size_t used = strftime(text_out, 40, "%Y-%m-%dT%H:%M:%S%z", &parts);
    if (used > 5) { /* "+0100" */
        memmove(text_out + used - 1, text_out + used - 2, 3);
        text_out[used - 2] = ':';
    }
}

/* One answer below another. */
static enum exit_code print_round(const struct verb *verb, struct ctl *ctl)
{
    char now[40];
    write_time(now);
    if (!ctl->json) {
        printf("%s\n", now);
    }
    enum exit_code code = verb->run(ctl);
    if (!ctl->json) {
        putchar('\n');
    }
    return code;
}

static size_t screen_rows(void)
{
    struct winsize size;
    bool known = ioctl(terminal, TIOCGWINSZ, &size) == 0 && size.ws_row > 2;
    return known ? size.ws_row : ROWS_DEFAULT;
}

/* Cuts text to the rows that there are, with a last line that says so; returns its bytes. */
static size_t cut(char *text, size_t bytes, size_t size, size_t rows)
{
    size_t lines = 0;
    size_t end = bytes;
    for (size_t i = 0; i < bytes; i++) {
        lines += text[i] == '\n';
        if (lines + 2 == rows && end == bytes) {
            end = i + 1;
        }
    }
    if (lines + 1 < rows) {
        return bytes;
    }
    int more = snprintf(text + end, size - end, "... and %zu lines more than this screen has",
                        lines - (rows - 2));
    return end + (more > 0 ? (size_t)more : 0);
}

static void draw(const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(terminal, text, bytes);
        if (written < 0 && errno != EINTR) {
            return; /* a terminal that is gone ends the program by SIGHUP */
        }
        text += written > 0 ? written : 0;
        bytes -= written > 0 ? (size_t)written : 0;
    }
}

/* What the verb prints and complains of, into the file. */
static enum exit_code run_into(int file, const struct verb *verb, struct ctl *ctl)
{
    int out = dup(STDOUT_FILENO);
    int error = dup(STDERR_FILENO);
    enum exit_code code = EXIT_NO;
    if (out >= 0 && error >= 0 && dup2(file, STDOUT_FILENO) >= 0 &&
        dup2(file, STDERR_FILENO) >= 0) {
        code = verb->run(ctl);
        fflush(stdout);
    }
    if (out >= 0 && error >= 0) {
        (void)dup2(out, STDOUT_FILENO);
        (void)dup2(error, STDERR_FILENO);
    }
    (void)close(out);
    (void)close(error);
    return code;
}

/* One answer in the place of the last: all of it with one write, so that nothing flickers. */
static enum exit_code draw_round(const struct verb *verb, struct ctl *ctl, uint32_t seconds)
{
    char now[40];
    int file = memfd_create("ckptctl", MFD_CLOEXEC);
    if (file < 0) {
        return complain(EXIT_NO, "no memory: %s", strerror(errno));
    }
    write_time(now);
    dprintf(file, SCREEN_BEGIN "%s, every %u s; Ctrl-C ends\n\n", now, seconds);
    enum exit_code code = run_into(file, verb, ctl);
    off_t bytes = lseek(file, 0, SEEK_END);
    size_t size = (size_t)bytes + 128;
    char *text = bytes > 0 ? malloc(size) : NULL;
    if (text && pread(file, text, (size_t)bytes, 0) == bytes) {
        size_t used = cut(text, (size_t)bytes, size, screen_rows());
        draw(text, used);
        draw(SCREEN_END, strlen(SCREEN_END));
    }
    free(text);
    (void)close(file);
    return code;
}

enum exit_code watch(const struct verb *verb, struct ctl *ctl, uint32_t seconds)
{
    bool on_terminal = isatty(STDOUT_FILENO) && !ctl->json;
    terminal = on_terminal ? dup(STDOUT_FILENO) : -1;
    catch_end();
    for (;;) {
        enum exit_code code =
            terminal >= 0 ? draw_round(verb, ctl, seconds) : print_round(verb, ctl);
        if (fflush(stdout) != 0) {
            return complain(EXIT_NO, "cannot write the output: %s", strerror(errno));
        }
        if (code == EXIT_USAGE) {
            return code;
        }
        pause_ms(seconds * 1000);
    }
}
