/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "unit/config/sample.h"

static char reason[256];

static struct config *load(int argc, char **argv)
{
    struct config *config = NULL;
    enum config_request request;
    if (config_load(&sample_program, argc, argv, NULL, &config, &request, reason, sizeof(reason)) !=
        CKPT_OK) {
        fail_msg("%s", reason);
    }
    return config;
}

static char *answer_of(const struct config_program *program, const struct config *config,
                       enum config_request request)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    assert_true(config_answer(program, config, request, out));
    fclose(out);
    return text;
}

static char *answer(const struct config *config, enum config_request request)
{
    return answer_of(&sample_program, config, request);
}

static void the_help_page_names_everything(void **state)
{
    (void)state;
    char *page = answer(NULL, CONFIG_HELP);
    static const char *const parts[] = {
        "Usage: sampled [OPTION]... VERB [ARGUMENT...]\n",
        "      --check-config ",
        "  -n, --agent-node=NAME           name of this node (required) [CKPT_AGENT_NODE]\n",
        "      --agent-nice=N              priority of the digest threads (default: 10)\n"
        "                                  [CKPT_AGENT_NICE]\n",
        "      --arena-huge-pages[=yes|no]",
        "  -l, --log-level=error|warn|info|debug\n",
        "  -j, --json[=yes|no]             print JSON\n",
        "\n[arena]\n",
        "CKPT_AGENT_NODE",
        "/nonexistent/sampled.conf",
        "\nExamples:\n  sampled --agent-node=n1\n",
        "\nExit status:\n  0  done\n  2  wrong use\n",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!strstr(page, parts[i])) {
            fail_msg("no '%s' in:\n%s", parts[i], page);
        }
    }
    for (size_t i = 0; i < SAMPLE_KEYS; i++) {
        char start[24];
        snprintf(start, sizeof(start), "%.20s", sample_keys[i].help);
        assert_non_null(strstr(page, start));
    }
    for (char *line = strtok(page, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(strlen(line) <= 80);
    }
    free(page);
}

static const char *library(void)
{
    return "UCX 1.18.1";
}

static void the_version_is_one_line(void **state)
{
    struct config_program beside = sample_program;
    (void)state;
    char *text = answer(NULL, CONFIG_VERSION);
    assert_string_equal(text, "sampled 1.2.3\n");
    free(text);
    beside.library = library;
    text = answer_of(&beside, NULL, CONFIG_VERSION);
    assert_string_equal(text, "sampled 1.2.3, UCX 1.18.1\n");
    free(text);
    assert_false(config_answer(&sample_program, NULL, CONFIG_RUN, stdout));
}

static void what_is_printed_is_a_config_file(void **state)
{
    (void)state;
    char path[] = "/tmp/ckpt_test_page_XXXXXX";
    char *flags[] = {"sampled", "-nn1", "--agent-peers=a, b", "--arena-linger=7s", NULL};
    struct config *first = load(4, flags);
    char *text = answer(first, CONFIG_CHECK);
    assert_non_null(strstr(text, "# sampled 1.2.3, file: none\n"));
    assert_non_null(strstr(text, "\nlinger = 7s                              ; --arena-linger\n"));
    assert_non_null(strstr(text, "\nsegment_bytes = 256MiB                   ; default\n"));
    assert_null(strstr(text, "json"));
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    char *again[] = {"sampled", "-c", path, NULL};
    struct config *second = load(3, again);
    for (size_t i = 0; i < SAMPLE_JSON; i++) {
        assert_string_equal(config_text(second, i), config_text(first, i));
        assert_int_equal(config_source(second, i), CONFIG_FROM_FILE);
    }
    unlink(path);
    free(text);
    config_delete(&first);
    config_delete(&second);
}

static void a_value_that_no_file_can_have_is_a_comment(void **state)
{
    (void)state;
    char long_name[400];
    snprintf(long_name, sizeof(long_name), "--agent-node=%0180d", 7);
    char *flags[] = {"sampled", long_name, "--agent-peers=a ;b", "--agent-state= /x", NULL};
    struct config *config = load(4, flags);
    char *text = answer(config, CONFIG_CHECK);
    assert_non_null(
        strstr(text, "# --agent-peers; a file cannot have this value\n# peers = a ;b\n"));
    assert_non_null(
        strstr(text, "# --agent-state; a file cannot have this value\n# state =  /x\n"));
    assert_non_null(strstr(text, "# --agent-node\nnode=000"));
    free(text);
    config_delete(&config);
    snprintf(long_name, sizeof(long_name), "--agent-node=%0200d", 7);
    config = load(4, flags);
    text = answer(config, CONFIG_CHECK);
    assert_non_null(strstr(text, "# --agent-node; a file cannot have this value\n# node = 000"));
    free(text);
    config_delete(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_help_page_names_everything),
        cmocka_unit_test(the_version_is_one_line),
        cmocka_unit_test(what_is_printed_is_a_config_file),
        cmocka_unit_test(a_value_that_no_file_can_have_is_a_comment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
