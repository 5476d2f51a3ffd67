/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

struct seen {
    enum log_level level;
    char line[LOG_LINE_MAX + 1];
    size_t bytes;
    int lines;
};

static void remember(enum log_level level, const char *line, size_t line_bytes, void *context)
{
    struct seen *seen = context;
    seen->level = level;
    seen->bytes = line_bytes;
    seen->lines++;
    assert_int_equal(strlen(line), line_bytes);
    memcpy(seen->line, line, line_bytes + 1);
}

static void an_event_is_one_line(void **state)
{
    (void)state;
    struct seen seen = {0};
    log_set_sink(remember, &seen);
    log_event(EVENT_pull_failed, "run=%s step=%d", LOG_QUOTED("llama"), 12);
    assert_string_equal(seen.line, "level=warn event=pull_failed run=llama step=12");
    assert_int_equal(seen.level, LOG_LEVEL_WARN);
    log_event(EVENT_ready, NULL);
    assert_string_equal(seen.line, "level=info event=ready");
    errno = ENOENT;
    log_event(EVENT_listen_failed, "error=\"%m\"");
    assert_string_equal(seen.line,
                        "level=error event=listen_failed error=\"No such file or directory\"");
    assert_int_equal(errno, ENOENT);
    log_set_sink(NULL, NULL);
    log_event(EVENT_listen_failed, NULL);
    assert_int_equal(seen.lines, 3);
}

static void levels_filter(void **state)
{
    (void)state;
    struct seen seen = {0};
    enum log_level level = LOG_LEVEL_ERROR;
    log_set_sink(remember, &seen);
    log_event(EVENT_connected, NULL);
    assert_int_equal(seen.lines, 0);
    assert_true(log_level_from_name("debug", &level));
    log_set_level(level);
    log_event(EVENT_connected, NULL);
    assert_int_equal(seen.lines, 1);
    assert_false(log_level_from_name("verbose", &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    log_set_level(LOG_LEVEL_INFO);
    log_set_sink(NULL, NULL);
}

static void a_value_cannot_forge_a_field_or_a_line(void **state)
{
    (void)state;
    struct seen seen = {0};
    log_set_sink(remember, &seen);
    log_event(EVENT_ready, "run=%s", LOG_QUOTED("a level=error\nevent=y \"q\" \\ \x1b\xff"));
    assert_string_equal(seen.line, "level=info event=ready run=\"a level=error\\nevent=y \\\"q\\\" "
                                   "\\\\ \\x1b\\xff\"");
    log_event(EVENT_ready, "run=%s", "unquoted\nlevel=error\r\x7f");
    assert_string_equal(seen.line, "level=info event=ready run=unquoted?level=error??");
    log_set_sink(NULL, NULL);
}

static void a_long_line_is_cut_and_says_so(void **state)
{
    (void)state;
    struct seen seen = {0};
    static char text[3000];
    memset(text, 'z', sizeof(text) - 1);
    log_set_sink(remember, &seen);
    log_event(EVENT_ready, "a=%s", text);
    assert_int_equal(seen.bytes, LOG_LINE_MAX);
    assert_string_equal(seen.line + LOG_LINE_MAX - 13, "z truncated=1");
    log_set_sink(NULL, NULL);
}

static void quoted_text_is_cut_inside_its_quotes(void **state)
{
    (void)state;
    char small[8];
    assert_string_equal(log_quote("plain", small, sizeof(small)), "plain");
    assert_string_equal(log_quote("", small, sizeof(small)), "\"\"");
    assert_string_equal(log_quote(NULL, small, sizeof(small)), "\"\"");
    assert_string_equal(log_quote("a bcd", small, sizeof(small)), "\"a bcd\"");
    assert_string_equal(log_quote("a bcde", small, sizeof(small)), "\"a ...\"");
    assert_string_equal(log_quote("plainword", small, sizeof(small)), "\"pl...\"");
    assert_string_equal(log_quote("\x01\x01", small, sizeof(small)), "\"...\"");
    static char text[1000];
    memset(text, '\n', sizeof(text) - 1);
    struct log_quoted quoted = log_quoted(text);
    size_t bytes = strlen(quoted.text);
    assert_in_range(bytes, sizeof(quoted.text) - 4, sizeof(quoted.text) - 1);
    assert_string_equal(quoted.text + bytes - 6, "\\n...\"");
}

static char stderr_path[] = "/tmp/ckpt_test_log_XXXXXX";

/* Runs while standard error is a file; gives what was written. */
static void read_back(int saved_stderr, char *text_out, size_t room)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    FILE *file = fopen(stderr_path, "r");
    assert_non_null(file);
    text_out[fread(text_out, 1, room - 1, file)] = '\0';
    fclose(file);
}

static int catch_stderr(void)
{
    int saved = dup(STDERR_FILENO);
    FILE *file = fopen(stderr_path, "w");
    assert_non_null(file);
    dup2(fileno(file), STDERR_FILENO);
    fclose(file);
    return saved;
}

static void *log_many(void *argument)
{
    for (int i = 0; i < 500; i++) {
        log_event(EVENT_ready, "thread=%s end=1", (const char *)argument);
    }
    return NULL;
}

static void standard_error_has_whole_lines(void **state)
{
    (void)state;
    static char text[4 * 500 * 120];
    pthread_t threads[4];
    static char names[4][20] = {"aaaaaaaaaaaaa", "bbbbb", "ccccccc", "d"};
    int saved = catch_stderr();
    log_to_stderr(true);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    log_set_sink(NULL, NULL);
    read_back(saved, text, sizeof(text));
    int lines = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char thread[20];
        int end = 0;
        assert_int_equal(
            sscanf(line, "<6>level=info event=ready thread=%19s end=1%n", thread, &end), 1);
        assert_int_equal(end, strlen(line));
        lines++;
    }
    assert_int_equal(lines, 2000);
}

static void standard_error_has_the_time(void **state)
{
    (void)state;
    char text[200];
    int saved = catch_stderr();
    log_to_stderr(false);
    log_event(EVENT_listen_failed, NULL);
    log_set_sink(NULL, NULL);
    read_back(saved, text, sizeof(text));
    int year;
    int end = 0;
    assert_int_equal(
        sscanf(text, "time=%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*6dZ level=error event=listen_failed\n%n",
               &year, &end),
        1);
    assert_in_range(year, 2024, 2200);
    assert_int_equal(end, strlen(text));
}

static void the_journal_is_known_by_its_inode(void **state)
{
    (void)state;
    char stream[64];
    struct stat status;
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    unsetenv("JOURNAL_STREAM");
    assert_false(log_stderr_is_journal());
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
             (uintmax_t)status.st_ino + 1);
    setenv("JOURNAL_STREAM", stream, 1);
    assert_false(log_stderr_is_journal());
    setenv("JOURNAL_STREAM", "nonsense", 1);
    assert_false(log_stderr_is_journal());
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    assert_true(log_stderr_is_journal());
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(stderr_path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(stderr_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_one_line),
        cmocka_unit_test(levels_filter),
        cmocka_unit_test(a_value_cannot_forge_a_field_or_a_line),
        cmocka_unit_test(a_long_line_is_cut_and_says_so),
        cmocka_unit_test(quoted_text_is_cut_inside_its_quotes),
        cmocka_unit_test(standard_error_has_whole_lines),
        cmocka_unit_test(standard_error_has_the_time),
        cmocka_unit_test(the_journal_is_known_by_its_inode),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
