/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

static _Atomic(log_sink *) current_sink;
static void *current_context;
static atomic_int current_level = LOG_LEVEL_INFO;

void log_set_sink(log_sink *sink, void *context)
{
    current_context = context;
    atomic_store(&current_sink, sink);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

bool log_level_is_on(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

bool log_level_from_name(const char *text, enum log_level *level_out)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level_out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void replace_control_characters(char *line, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)line[i];
        if (c < 0x20 || c == 0x7f) {
            line[i] = '?';
        }
    }
}

/* snprintf's count of wanted bytes as what is really there. */
static size_t written(int wanted, size_t room)
{
    if (wanted < 0) {
        return 0;
    }
    return (size_t)wanted < room ? (size_t)wanted : room - 1;
}

void log_event(enum event_id event, const char *fields_format, ...)
{
    static const char cut_mark[] = " truncated=1";
    enum log_level level = event_level(event);
    log_sink *sink = atomic_load(&current_sink);
    if (!sink || !log_level_is_on(level)) {
        return;
    }
    int saved_errno = errno;
    char line[LOG_LINE_MAX + 1];
    int wanted =
        snprintf(line, sizeof(line), "level=%s event=%s", log_level_name(level), event_name(event));
    size_t bytes = written(wanted, sizeof(line));
    if (fields_format && bytes + 2 < sizeof(line)) {
        line[bytes++] = ' ';
        va_list arguments;
        va_start(arguments, fields_format);
        errno = saved_errno;
        wanted = vsnprintf(line + bytes, sizeof(line) - bytes, fields_format, arguments);
        va_end(arguments);
        bool is_cut = wanted >= 0 && (size_t)wanted >= sizeof(line) - bytes;
        bytes += written(wanted, sizeof(line) - bytes);
        if (is_cut) {
            memcpy(line + LOG_LINE_MAX - (sizeof(cut_mark) - 1), cut_mark, sizeof(cut_mark));
            bytes = LOG_LINE_MAX;
        }
    }
    line[bytes] = '\0';
    replace_control_characters(line, bytes);
    sink(level, line, bytes, current_context);
    errno = saved_errno;
}

static bool is_plain_word(const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "._/-:@,+%";
    return text[0] != '\0' && text[strspn(text, plain)] == '\0';
}

/* The escape of one byte, at most 4 characters and a NUL. */
static size_t escape(char c, char escaped_out[5])
{
    const char *fixed = c == '\n'   ? "\\n"
                        : c == '\t' ? "\\t"
                        : c == '"'  ? "\\\""
                        : c == '\\' ? "\\\\"
                                    : NULL;
    int bytes;
    if (fixed) {
        bytes = snprintf(escaped_out, 5, "%s", fixed);
    } else if (c < 0x20 || c > 0x7e) {
        bytes = snprintf(escaped_out, 5, "\\x%02x", (unsigned)(unsigned char)c);
    } else {
        bytes = snprintf(escaped_out, 5, "%c", c);
    }
    return (size_t)bytes;
}

char *log_quote(const char *text, char *out, size_t out_bytes)
{
    if (!text) {
        text = "";
    }
    if (is_plain_word(text) && strlen(text) < out_bytes) {
        memcpy(out, text, strlen(text) + 1);
        return out;
    }
    size_t used = 0;
    /* Where "..." can still be put if the rest does not fit. */
    size_t cut = 1;
    out[used++] = '"';
    for (; *text != '\0'; text++) {
        char escaped[5];
        size_t bytes = escape(*text, escaped);
        if (used + bytes + sizeof("\"") > out_bytes) {
            memcpy(out + cut, "...\"", sizeof("...\""));
            return out;
        }
        memcpy(out + used, escaped, bytes);
        used += bytes;
        if (used + sizeof("...\"") <= out_bytes) {
            cut = used;
        }
    }
    memcpy(out + used, "\"", sizeof("\""));
    return out;
}

struct log_quoted log_quoted(const char *text)
{
    struct log_quoted quoted;
    log_quote(text, quoted.text, sizeof(quoted.text));
    return quoted;
}
