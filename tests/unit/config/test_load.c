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

static char path[] = "/tmp/ckpt_test_config_XXXXXX";
static char reason[256];

static void write_file(const char *text, size_t bytes)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    fclose(file);
}

static enum ckpt_status load(const char *text, char **environment, char *flag,
                             struct config **config_out)
{
    char *argv[] = {"sampled", "--config", path, flag, NULL};
    enum config_request request = CONFIG_HELP;
    write_file(text, strlen(text));
    reason[0] = '\0';
    enum ckpt_status status = config_load(&sample_program, flag ? 4 : 3, argv, environment,
                                          config_out, &request, reason, sizeof(reason));
    assert_int_equal(request, status == CKPT_OK ? CONFIG_RUN : CONFIG_HELP);
    return status;
}

static void expect_refusal(const char *text, const char *says)
{
    struct config *config = NULL;
    enum ckpt_status status = load(text, NULL, NULL, &config);
    if (status != CKPT_ERR_CONFIG || !strstr(reason, says)) {
        fail_msg("'%s': %s, '%s' does not say '%s'", text, ckpt_status_name(status), reason, says);
    }
    assert_null(config);
    assert_null(strchr(reason, '\n'));
}

static void every_type_is_read(void **state)
{
    (void)state;
    struct config *config;
    assert_int_equal(load("# a comment\n\n[agent]\nnode = n1 ; a comment\n"
                          "  state=/srv/state\t\r\nnice = -5\npeers = a:1, b:2\n"
                          "[arena]\nsegment_bytes = 4 MiB\nlinger = 90s\nhuge_pages = off\n"
                          "[log]\nlevel = debug",
                          NULL, NULL, &config),
                     CKPT_OK);
    assert_string_equal(config_text(config, SAMPLE_NODE), "n1");
    assert_string_equal(config_text(config, SAMPLE_STATE), "/srv/state");
    assert_int_equal(config_number(config, SAMPLE_NICE), -5);
    assert_int_equal(config_number(config, SAMPLE_BYTES), 4 << 20);
    assert_int_equal(config_number(config, SAMPLE_LINGER), 90000);
    assert_false(config_flag(config, SAMPLE_HUGE));
    assert_int_equal(config_number(config, SAMPLE_LEVEL), 3);
    assert_int_equal(config_list_count(config, SAMPLE_PEERS), 2);
    assert_string_equal(config_list_at(config, SAMPLE_PEERS, 1), "b:2");
    assert_string_equal(config_file(config), path);
    config_delete(&config);
    assert_null(config);
    config_delete(&config);
}

static void later_sources_win(void **state)
{
    (void)state;
    struct config *config;
    char *environment[] = {"CKPT_ARENA_LINGER=2h", "CKPT_AGENT_NICE=3", "CKPT_AGENT_NODEX=no",
                           "CKPT_AGENT_NODE",      "OTHER=1",           NULL};
    char where[300];
    char wanted[300];
    assert_int_equal(load("[agent]\nnode=n1\nnice=1\n[arena]\nlinger=1h\n", environment,
                          "--agent-nice=4", &config),
                     CKPT_OK);
    assert_int_equal(config_number(config, SAMPLE_NICE), 4);
    assert_int_equal(config_source(config, SAMPLE_NICE), CONFIG_FROM_FLAG);
    assert_int_equal(config_number(config, SAMPLE_LINGER), 7200000);
    assert_int_equal(config_source(config, SAMPLE_LINGER), CONFIG_FROM_ENVIRONMENT);
    assert_int_equal(config_source(config, SAMPLE_NODE), CONFIG_FROM_FILE);
    assert_int_equal(config_number(config, SAMPLE_BYTES), 256 << 20);
    assert_int_equal(config_source(config, SAMPLE_BYTES), CONFIG_FROM_DEFAULT);
    config_describe(config, SAMPLE_NODE, where, sizeof(where));
    snprintf(wanted, sizeof(wanted), "%s:2: [agent] node", path);
    assert_string_equal(where, wanted);
    config_describe(config, SAMPLE_LINGER, where, sizeof(where));
    assert_string_equal(where, "CKPT_ARENA_LINGER");
    config_describe(config, SAMPLE_NICE, where, sizeof(where));
    assert_string_equal(where, "--agent-nice");
    config_describe(config, SAMPLE_BYTES, where, sizeof(where));
    assert_string_equal(where, "default of --arena-segment-bytes");
    config_delete(&config);
}

static void mistakes_in_the_file_are_told_with_their_line(void **state)
{
    (void)state;
    char said[300];
    snprintf(said, sizeof(said), "%s:3: unknown key nod in [agent]; did you mean 'node'?", path);
    expect_refusal("[agent]\nnode = a\nnod = b\n", said);
    expect_refusal("[agent]\nlinger=1s\n",
                   ":2: unknown key linger in [agent]; it belongs to [arena]");
    expect_refusal("[arenas]\nlinger=1s\n", ":2: unknown section [arenas]; did you mean [arena]?");
    expect_refusal("[zzz]\nx=1\n", ":2: unknown section [zzz]");
    expect_refusal("linger=1s\n", ":1: unknown key linger before any [section]; it belongs to "
                                  "[arena]");
    expect_refusal("[agent]\njson=1\n", ":2: unknown key json in [agent]");
    expect_refusal("[agent]\nnode=a\nnode=b\n",
                   ":3: [agent] node is set again; it is set in line 2");
    expect_refusal("[agent]\nnode=a\n[log]\nlevel=info\n[agent]\nnode=b\n",
                   ":6: [agent] node is set again; it is set in line 2");
    expect_refusal("[agent]\nnode = a\nnice = 20\n", ":3: [agent] nice = 20: want from -20 to 19");
    expect_refusal("[agent]\nnode = a\nnice = 1 2\n",
                   ":3: [agent] nice = \"1 2\": want a whole number");
    expect_refusal("[agent]\nnode = a\nstate = here\n",
                   ":3: [agent] state = here: want a path that starts with '/'");
    expect_refusal("[log]\nlevel = inof\n", ":2: [log] level = inof: did you mean 'info'?");
    expect_refusal("[agent]\nnode = a\ngarbage\n", ":3: want [section], key = value, or a comment");
    expect_refusal("[agent\nnode = a\n", ":1: want [section]");
    expect_refusal("[agent]\nnode = \x01\n", ":2: [agent] node = \"\\x01\": want text without");
}

static void the_first_mistake_is_told(void **state)
{
    (void)state;
    expect_refusal("[agent]\nnice = x\nnode = a\nnodd = a\n", ":2: [agent] nice = x");
}

static void an_indented_line_is_a_line_of_its_own(void **state)
{
    (void)state;
    struct config *config;
    assert_int_equal(load("[agent]\nnode = a\n   nice = 7\n", NULL, NULL, &config), CKPT_OK);
    assert_int_equal(config_number(config, SAMPLE_NICE), 7);
    config_delete(&config);
}

static void odd_bytes_and_long_lines_are_refused(void **state)
{
    (void)state;
    struct config *config = NULL;
    char *argv[] = {"sampled", "--config", path, NULL};
    enum config_request request;
    static const char nul[] = "[agent]\nnode = a\0b\n";
    write_file(nul, sizeof(nul) - 1);
    assert_int_equal(
        config_load(&sample_program, 3, argv, NULL, &config, &request, reason, sizeof(reason)),
        CKPT_ERR_CONFIG);
    assert_non_null(strstr(reason, ":2: has a NUL character"));
    static char text[9000];
    size_t used = (size_t)snprintf(text, sizeof(text), "[agent]\nnode = ");
    memset(text + used, 'x', sizeof(text) - used - 1);
    expect_refusal(text, ":2: the line has 8991 characters, at most 197");
    /* But a comment may be as long as it likes. */
    snprintf(text, sizeof(text), "[agent]\nnode = n1\n# ");
    used = strlen(text);
    memset(text + used, 'x', sizeof(text) - used - 1);
    memcpy(text + sizeof(text) - 20, "\n[log]\nlevel=warn\n", 18);
    text[sizeof(text) - 2] = '\0';
    assert_int_equal(load(text, NULL, NULL, &config), CKPT_OK);
    assert_int_equal(config_number(config, SAMPLE_LEVEL), 1);
    config_delete(&config);
}

static void mistakes_in_other_sources_are_told(void **state)
{
    (void)state;
    struct config *config = NULL;
    char *environment[] = {"CKPT_AGENT_NICE=99", NULL};
    assert_int_equal(load("[agent]\nnode=a\n", environment, NULL, &config), CKPT_ERR_CONFIG);
    assert_string_equal(reason, "CKPT_AGENT_NICE = 99: want from -20 to 19");
    assert_int_equal(load("[agent]\nnode=a\n", NULL, "--arena-linger=5", &config), CKPT_ERR_CONFIG);
    assert_non_null(strstr(reason, "--arena-linger = 5: want a time such as"));
}

static void a_required_key_must_have_a_value(void **state)
{
    (void)state;
    struct config *config = NULL;
    char wanted[300];
    assert_int_equal(load("[log]\nlevel=info\n", NULL, NULL, &config), CKPT_ERR_CONFIG);
    snprintf(wanted, sizeof(wanted),
             "[agent] node is missing (name of this node); set it in %s, by CKPT_AGENT_NODE or by "
             "--agent-node",
             path);
    assert_string_equal(reason, wanted);
    assert_int_equal(load("[agent]\nnode=\n", NULL, NULL, &config), CKPT_ERR_CONFIG);
}

static void files_that_cannot_be_read_are_told(void **state)
{
    (void)state;
    struct config *config = NULL;
    enum config_request request;
    char *missing[] = {"sampled", "-c", "/nonexistent/x.conf", "-nn1", NULL};
    char *folder[] = {"sampled", "-c", "/tmp", "-nn1", NULL};
    assert_int_equal(
        config_load(&sample_program, 4, missing, NULL, &config, &request, reason, sizeof(reason)),
        CKPT_ERR_CONFIG);
    assert_string_equal(reason, "/nonexistent/x.conf: cannot be opened: No such file or directory");
    assert_int_equal(
        config_load(&sample_program, 4, folder, NULL, &config, &request, reason, sizeof(reason)),
        CKPT_ERR_CONFIG);
    assert_string_equal(reason, "/tmp: cannot be read: Is a directory");
    /* The default file may be missing. */
    char *none[] = {"sampled", "-nn1", NULL};
    assert_int_equal(
        config_load(&sample_program, 2, none, NULL, &config, &request, reason, sizeof(reason)),
        CKPT_OK);
    assert_null(config_file(config));
    config_delete(&config);
}

static void a_wrong_table_is_an_internal_error(void **state)
{
    (void)state;
    static const struct config_key bad_default[] = {
        {.section = "a", .name = "b", .type = CONFIG_INTEGER, .fallback = "x", .help = "h"}};
    static const struct config_key two_letters[] = {
        {.section = "a", .name = "b", .letter = 'h', .type = CONFIG_INTEGER, .help = "h"}};
    static const struct config_key two_names[] = {
        {.section = "a", .name = "b", .type = CONFIG_STRING, .help = "h"},
        {.section = "a", .name = "b", .type = CONFIG_STRING, .help = "h"}};
    static const struct config_key nameless[] = {{.name = "b", .type = CONFIG_STRING, .help = "h"}};
    const struct {
        const struct config_key *keys;
        size_t count;
    } tables[] = {{bad_default, 1}, {two_letters, 1}, {two_names, 2}, {nameless, 1}};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        struct config_program program = {.name = "x",
                                         .version = "1",
                                         .summary = "x",
                                         .default_file = "/nonexistent/x",
                                         .keys = tables[i].keys,
                                         .key_count = tables[i].count};
        struct config *config = NULL;
        enum config_request request;
        char *argv[] = {"x", NULL};
        assert_int_equal(
            config_load(&program, 1, argv, NULL, &config, &request, reason, sizeof(reason)),
            CKPT_ERR_INTERNAL);
        assert_null(config);
    }
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(later_sources_win),
        cmocka_unit_test(mistakes_in_the_file_are_told_with_their_line),
        cmocka_unit_test(the_first_mistake_is_told),
        cmocka_unit_test(an_indented_line_is_a_line_of_its_own),
        cmocka_unit_test(odd_bytes_and_long_lines_are_refused),
        cmocka_unit_test(mistakes_in_other_sources_are_told),
        cmocka_unit_test(a_required_key_must_have_a_value),
        cmocka_unit_test(files_that_cannot_be_read_are_told),
        cmocka_unit_test(a_wrong_table_is_an_internal_error),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
