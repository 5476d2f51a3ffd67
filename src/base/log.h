/* SPDX-License-Identifier: Apache-2.0 */
/* One line per event, in logfmt:
 *
 *     level=info event=pull_done run=llama step=1200 rank=3 bytes=1073741824
 *
 * A line goes to the sink that the program set. There is none until then, so a library that logs
 * never prints. The first function that decides something is an error logs it, once. */
#ifndef CKPT_BASE_LOG_H
#define CKPT_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/event.h"

/* A line with its level and event, without the NUL; what is longer is cut and ends in
 * " truncated=1". */
#define LOG_LINE_MAX 2047

/* Room for any text that log_quote makes of CKPT_REASON_MAX plain characters, and then some. */
#define LOG_QUOTED_SIZE 384

/* Receives a line of line_bytes bytes with no newline, NUL-terminated. Called in the thread that
 * logs, from several at once; must not log. */
typedef void log_sink(enum log_level level, const char *line, size_t line_bytes, void *context);

struct log_quoted {
    char text[LOG_QUOTED_SIZE];
};

/* Sets where lines go; NULL for nowhere. Call it before other threads start. */
void log_set_sink(log_sink *sink, void *context);

/* Lines above this level are dropped; LOG_LEVEL_INFO at first. Any thread, any time. */
void log_set_level(enum log_level level);
bool log_level_is_on(enum log_level level);

/* "error", "warn", "info", "debug"; and back: false when text is none of them. */
const char *log_level_name(enum log_level level);
bool log_level_from_name(const char *text, enum log_level *level_out);

/* Logs one event, at its level. fields_format gives "name=value" pairs apart by one
 * space, or is NULL. A value that came from outside goes through LOG_QUOTED. %m is errno's text,
 * best written as "error=\"%m\"". errno is kept. Control characters that reach the line in spite of
 * all become '?', so that no value can start a line of its own.
 *
 * Any thread; formats in a buffer on the stack, never allocates;
 * blocks as long as the sink does. */
void log_event(enum event_id event, const char *fields_format, ...)
    __attribute__((format(printf, 2, 3)));

/* The text as one logfmt value: as it is when it is a plain word, else in double quotes with '"',
 * '\' and every byte that is not printable ASCII escaped (\n, \t, \xNN). A text too long for
 * out_bytes is cut and ends with "..." inside the quotes. NULL gives "". out_bytes is at least 8.
 *
 * RETURN VALUE
 * out. */
char *log_quote(const char *text, char *out, size_t out_bytes);

/* The same by value, for use inside the arguments of log_event:
 *
 *     log_event(EVENT_report_refused, "run=%s", LOG_QUOTED(run));
 *
 * The string lives until the end of the full expression. */
struct log_quoted log_quoted(const char *text);
#define LOG_QUOTED(value) (log_quoted(value).text)

/* Sends lines to standard error, each by one write: with "<6>"-style priorities for the journal, or
 * with an ISO-8601 UTC time of microseconds in front ("time=2025-01-31T12:00:00.000000Z"). For a
 * program's main. */
void log_to_stderr(bool journal);

/* Whether standard error is the journal's stream, as JOURNAL_STREAM (device:inode) says. Reads the
 * environment; for a program's main. */
bool log_stderr_is_journal(void);

#endif
