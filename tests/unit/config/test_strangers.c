/* SPDX-License-Identifier: Apache-2.0 */
/* Variables that look like ours; what a key is when nobody sets it; how settings are said. */
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
static char told[1024];

static struct config *load_as(const struct config_program *program, char *const *flags)
{
    char name[] = "sampled";
    char *argv[8] = {name};
    int argc = 1;
    struct config *config = NULL;
    enum config_request request;
    for (; flags && *flags; flags++) {
        argv[argc++] = *flags;
    }
    if (config_load(program, argc, argv, NULL, &config, &request, reason, sizeof(reason)) !=
        CKPT_OK) {
        fail_msg("%s", reason);
    }
    return config;
}

static void take(void *context, const char *line)
{
    (void)context;
    size_t used = strlen(told);
    snprintf(told + used, sizeof(told) - used, "%s|", line);
}

/* What is said of one variable; "" for nothing. */
static const char *say(const struct config *config, char *variable)
{
    char *environment[] = {variable, NULL};
    told[0] = '\0';
    config_tell_strangers(config, environment, take, NULL);
    return told;
}

static void a_variable_that_nobody_reads_is_told(void **state)
{
    (void)state;
    static const struct {
        char *variable;
        const char *line;
    } cases[] = {
        {"CKPT_NODE_NAME=n1", "CKPT_NODE_NAME is not read by any program of ckptd|"},
        {"CKPT_LEVEL=debug", "CKPT_LEVEL is not read; did you mean CKPT_LOG_LEVEL?|"},
        {"CKPT_SEGMENT_BYTES=4MiB",
         "CKPT_SEGMENT_BYTES is not read; did you mean CKPT_ARENA_SEGMENT_BYTES?|"},
        {"CKPT_AGENT_NODES=n1", "CKPT_AGENT_NODES is not read; did you mean CKPT_AGENT_NODE?|"},
        {"CKPT_RUNN=x", "CKPT_RUNN is not read; did you mean CKPT_RUN?|"},
        {"CKPT_DIR=/tmp", "CKPT_DIR is not read by any program of ckptd|"},
        {"CKPT_\033=1", "\"CKPT_\\x1b\" is not read by any program of ckptd|"},
        /* Read, by this program or others, or none of ours. */
        {"CKPT_AGENT_NODE=n1", ""},
        {"CKPT_LOG_LEVEL=debug", ""},
        {"CKPT_COORDINATOR_LISTEN=x", ""},
        {"CKPT_SLURM_MODE=x", ""},
        {"CKPT_RUN=x", ""},
        {"CKPT_START=x", ""},
        {"CKPT_TEST_TRANSPORT=verbs", ""},
        {"CKPTX_NODE=1", ""},
        {"HOME=/", ""},
    };
    char *flags[] = {"-nn1", NULL};
    struct config *config = load_as(&sample_program, flags);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(say(config, cases[i].variable), cases[i].line);
    }
    config_delete(&config);
}

/* CKPT_NODE is for the ranks of a job; who sets it for ckptd, and nothing else, meant its key. */
static void a_variable_of_another_program_is_told_where_it_is_mistaken(void **state)
{
    (void)state;
    struct config_key key = sample_keys[SAMPLE_NODE];
    struct config_program agent = sample_program;
    key.required = false;
    agent.name = "ckptd";
    agent.keys = &key;
    agent.key_count = 1;
    struct config *config = load_as(&agent, NULL);
    assert_string_equal(say(config, "CKPT_NODE=n2"),
                        "CKPT_NODE is read by the Slurm hooks' jobs; ckptd reads CKPT_AGENT_NODE|");
    assert_int_equal(config_derive(config, 0, "n2", reason, sizeof(reason)), CKPT_OK);
    assert_string_equal(say(config, "CKPT_NODE=n2"), ""); /* no harm done */
    config_delete(&config);
    char *flags[] = {"-nn1", NULL};
    config = load_as(&agent, flags);
    assert_string_equal(say(config, "CKPT_NODE=n2"), ""); /* it was told by other means */
    config_delete(&config);
    agent.name = "other";
    config = load_as(&agent, NULL);
    assert_string_equal(say(config, "CKPT_NODE=n2"), "");
    config_delete(&config);
}

static void what_is_derived_is_shown_and_not_written_down(void **state)
{
    (void)state;
    struct config_key keys[2] = {sample_keys[SAMPLE_NODE], sample_keys[SAMPLE_BYTES]};
    struct config_program program = sample_program;
    keys[0].required = false;
    keys[0].fallback_is = "the host name";
    keys[1].fallback = NULL;
    program.keys = keys;
    program.key_count = 2;
    struct config *config = load_as(&program, NULL);
    assert_int_equal(config_derive(config, 0, "vm7", reason, sizeof(reason)), CKPT_OK);
    assert_string_equal(config_text(config, 0), "vm7");
    assert_int_equal(config_source(config, 0), CONFIG_DERIVED);
    assert_int_equal(config_derive(config, 0, "other", reason, sizeof(reason)), CKPT_OK);
    assert_string_equal(config_text(config, 0), "vm7");
    assert_int_equal(config_derive(config, 1, "many", reason, sizeof(reason)), CKPT_ERR_CONFIG);
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    config_print(config, out);
    fclose(out);
    assert_non_null(strstr(text, "\n# node = vm7 ; the host name\n"));
    assert_non_null(strstr(text, "\n# segment_bytes has no value\n"));
    free(text);
    config_delete(&config);
}

static void a_setting_is_said_with_where_it_is_from(void **state)
{
    (void)state;
    char path[] = "/tmp/ckpt_test_strangers_XXXXXX";
    char said[CONFIG_SAID_SIZE];
    char wanted[CONFIG_SAID_SIZE];
    char long_text[512];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "[agent]\nnice = 3\n", 17), 17);
    close(fd);
    memset(long_text, 'n', sizeof(long_text) - 1);
    memcpy(long_text, "--agent-node=", 13);
    long_text[sizeof(long_text) - 1] = '\0';
    char *flags[] = {"-c", path, long_text, NULL};
    struct config *config = load_as(&sample_program, flags);
    config_say(config, SAMPLE_NICE, said);
    snprintf(wanted, sizeof(wanted), "%s:2: [agent] nice = 3", path);
    assert_string_equal(said, wanted);
    config_say(config, SAMPLE_BYTES, said);
    assert_string_equal(said, "default of --arena-segment-bytes = 256MiB");
    config_say(config, SAMPLE_NODE, said);
    assert_string_equal(said, "--agent-node = nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn");
    config_delete(&config);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_variable_that_nobody_reads_is_told),
        cmocka_unit_test(a_variable_of_another_program_is_told_where_it_is_mistaken),
        cmocka_unit_test(what_is_derived_is_shown_and_not_written_down),
        cmocka_unit_test(a_setting_is_said_with_where_it_is_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
