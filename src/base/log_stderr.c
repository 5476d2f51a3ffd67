/* SPDX-License-Identifier: Apache-2.0 */
/* The sink of the programs: standard error, which under systemd is the journal. */
#include "base/log.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char *const priorities[] = {
    /* The numbers of syslog(3): error, warning, info, debug. */
    [LOG_LEVEL_ERROR] = "<3>",
    [LOG_LEVEL_WARN] = "<4>",
    [LOG_LEVEL_INFO] = "<6>",
    [LOG_LEVEL_DEBUG] = "<7>",
};

/* One writev is one write to a pipe, a file or a socket: lines of several threads do not mix. What
 * cannot be logged is lost; a daemon must not die of a full disk behind its log. */
static void write_line(const char *prefix, size_t prefix_bytes, const char *line, size_t line_bytes)
{
    struct iovec parts[] = {
        {.iov_base = (void *)(uintptr_t)prefix, .iov_len = prefix_bytes},
        {.iov_base = (void *)(uintptr_t)line, .iov_len = line_bytes},
        {.iov_base = (void *)(uintptr_t) "\n", .iov_len = 1},
    };
    ssize_t lost = writev(STDERR_FILENO, parts, 3);
    (void)lost;
}

static void write_for_journal(enum log_level level, const char *line, size_t line_bytes,
                              void *context)
{
    (void)context;
    write_line(priorities[level], 3, line, line_bytes);
}

static void write_with_time(enum log_level level, const char *line, size_t line_bytes,
                            void *context)
{
    (void)level;
    (void)context;
    struct timespec now;
    struct tm utc;
    char second[sizeof("2025-01-31T12:00:00") + 40];
    char prefix[sizeof(second) + 24];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &utc);
    int bytes = snprintf(prefix, sizeof(prefix), "time=%s.%06ldZ ", second, now.tv_nsec / 1000);
    write_line(prefix, (size_t)bytes, line, line_bytes);
}

void log_to_stderr(bool journal)
{
    log_set_sink(journal ? write_for_journal : write_with_time, NULL);
}

bool log_stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    uintmax_t device;
    uintmax_t inode;
    if (!stream || sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) != 2 ||
        fstat(STDERR_FILENO, &status) != 0) {
        return false;
    }
    return device == (uintmax_t)status.st_dev && inode == (uintmax_t)status.st_ino;
}
