/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "unit/config/sample.h"

static char reason[256];

/* Loads with these arguments, up to NULL. */
static enum ckpt_status load(const struct config_program *program, const char *const *arguments,
                             struct config **config_out, enum config_request *request_out)
{
    static char *argv[16];
    static char copies[16][64];
    int argc = 1;
    argv[0] = "sampled";
    for (; arguments[argc - 1]; argc++) {
        snprintf(copies[argc], sizeof(copies[argc]), "%s", arguments[argc - 1]);
        argv[argc] = copies[argc];
    }
    argv[argc] = NULL;
    return config_load(program, argc, argv, NULL, config_out, request_out, reason, sizeof(reason));
}

static void flags_come_long_and_short(void **state)
{
    (void)state;
    struct config *config;
    enum config_request request;
    const char *const arguments[] = {"-n", "n7",       "--agent-nice=-3",       "--arena-linger",
                                     "5s", "-jldebug", "--arena-huge-pages=no", NULL};
    assert_int_equal(load(&sample_program, arguments, &config, &request), CKPT_OK);
    assert_int_equal(request, CONFIG_RUN);
    assert_string_equal(config_text(config, SAMPLE_NODE), "n7");
    assert_int_equal(config_number(config, SAMPLE_NICE), -3);
    assert_int_equal(config_number(config, SAMPLE_LINGER), 5000);
    assert_true(config_flag(config, SAMPLE_JSON));
    assert_int_equal(config_number(config, SAMPLE_LEVEL), 3);
    assert_false(config_flag(config, SAMPLE_HUGE));
    config_delete(&config);
    /* The last one wins, as a script that appends flags expects. */
    const char *const twice[] = {"-n", "a", "-n", "b", "--arena-huge-pages", NULL};
    assert_int_equal(load(&sample_program, twice, &config, &request), CKPT_OK);
    assert_string_equal(config_text(config, SAMPLE_NODE), "b");
    assert_true(config_flag(config, SAMPLE_HUGE));
    config_delete(&config);
}

/* A flag with a value of its own where none is given, as "--watch" and "--watch=5". */
static void a_value_may_be_implied(void **state)
{
    (void)state;
    static const struct config_key keys[] = {
        {.name = "watch", .flag = "watch", .type = CONFIG_INTEGER, .max = 9, .implied = "2"}};
    static const struct config_program program = {
        .name = "sampled", .operands = "VERB", .keys = keys, .key_count = 1};
    struct config *config;
    enum config_request request;
    const char *const without[] = {"--watch", "5", NULL};
    assert_int_equal(load(&program, without, &config, &request), CKPT_OK);
    assert_int_equal(config_number(config, 0), 2);
    size_t count;
    assert_string_equal(config_operands(config, &count)[0], "5");
    config_delete(&config);
    const char *const with[] = {"--watch=5", NULL};
    assert_int_equal(load(&program, with, &config, &request), CKPT_OK);
    assert_int_equal(config_number(config, 0), 5);
    config_delete(&config);
    const char *const neither[] = {"x", NULL};
    assert_int_equal(load(&program, neither, &config, &request), CKPT_OK);
    assert_false(config_is_set(config, 0));
    config_delete(&config);
}

/* It is found behind flags and their values, and the order of the words stays. */
static void the_first_operand_can_be_looked_for(void **state)
{
    (void)state;
    char *words[] = {"sampled", "-n", "n7", "--json", "--agent-nice", "3", "verb", "-n", "x", NULL};
    char *none[] = {"sampled", "-n", "n7", NULL};
    char *wrong[] = {"sampled", "--unknown", "verb", NULL};
    assert_ptr_equal(config_first_operand(&sample_program, 9, words), words[6]);
    assert_string_equal(words[1], "-n");
    assert_string_equal(words[8], "x");
    assert_null(config_first_operand(&sample_program, 3, none));
    assert_string_equal(config_first_operand(&sample_program, 3, wrong), "verb");
}

static void operands_are_what_is_left(void **state)
{
    (void)state;
    struct config *config;
    enum config_request request;
    size_t count;
    const char *const arguments[] = {"export", "-nx", "run", "--json", "--", "--file", NULL};
    assert_int_equal(load(&sample_program, arguments, &config, &request), CKPT_OK);
    char *const *operands = config_operands(config, &count);
    assert_int_equal(count, 3);
    assert_string_equal(operands[0], "export");
    assert_string_equal(operands[1], "run");
    assert_string_equal(operands[2], "--file");
    config_delete(&config);
    struct config_program none = sample_program;
    none.operands = NULL;
    config = NULL;
    const char *const extra[] = {"-nx", "bo gus", NULL};
    assert_int_equal(load(&none, extra, &config, &request), CKPT_ERR_CONFIG);
    assert_string_equal(reason, "unexpected argument \"bo gus\"");
    assert_null(config);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *arguments[4];
        const char *says;
    } cases[] = {
        {{"--agent-noda=x"}, "unknown flag --agent-noda; did you mean --agent-node?"},
        {{"--zzzzzzzzzz"}, "unknown flag --zzzzzzzzzz"},
        {{"verb", "--chek-config"}, "unknown flag --chek-config; did you mean --check-config?"},
        {{"--agent-n=x"}, "ambiguous flag --agent-n"},
        {{"-x"}, "unknown flag -x"},
        {{"--json", "-jx"}, "unknown flag -x"},
        {{"-n"}, "flag -n needs a value"},
        {{"--json", "--agent-node"}, "flag --agent-node needs a value"},
        {{"-c"}, "flag --config needs a value"},
        {{"--help=x"}, "flag --help takes no value"},
        {{"--check-config=x"}, "flag --check-config takes no value"},
        {{"-j", "--json=maybe", "-na"}, "--json = maybe: want yes or no"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config *config = NULL;
        enum config_request request = CONFIG_VERSION;
        enum ckpt_status status = load(&sample_program, cases[i].arguments, &config, &request);
        if (status != CKPT_ERR_CONFIG ||
            strncmp(reason, cases[i].says, strlen(cases[i].says)) != 0) {
            fail_msg("%s: %s '%s'", cases[i].arguments[0], ckpt_status_name(status), reason);
        }
        assert_null(config);
        assert_int_equal(request, CONFIG_VERSION);
    }
}

static void requests_are_understood(void **state)
{
    (void)state;
    struct config *config = NULL;
    enum config_request request = CONFIG_RUN;
    /* Help is given whatever else is wrong after it. */
    const char *const help[] = {"-h", "--nonsense", NULL};
    const char *const version[] = {"--version", NULL};
    const char *const check[] = {"--check-config", "-nx", NULL};
    assert_int_equal(load(&sample_program, help, &config, &request), CKPT_OK);
    assert_int_equal(request, CONFIG_HELP);
    assert_null(config);
    assert_int_equal(load(&sample_program, version, &config, &request), CKPT_OK);
    assert_int_equal(request, CONFIG_VERSION);
    assert_null(config);
    assert_int_equal(load(&sample_program, check, &config, &request), CKPT_OK);
    assert_int_equal(request, CONFIG_CHECK);
    assert_non_null(config);
    config_delete(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_come_long_and_short),
        cmocka_unit_test(a_value_may_be_implied),
        cmocka_unit_test(the_first_operand_can_be_looked_for),
        cmocka_unit_test(operands_are_what_is_left),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(requests_are_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
