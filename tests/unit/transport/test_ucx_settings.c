/* SPDX-License-Identifier: Apache-2.0 */
/* Under which names UCX's settings are made, against a fake of the three functions of libucp that
 * this takes: they stand in front of the library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "transport/ucx/settings.h"

static struct {
    unsigned minor, release;
    const char *refused; /* the setting that it does not take */
    char made[1024];     /* "NAME=VALUE " for each that it took */
    char log[2048];
} fake;

void ucp_get_version(unsigned *major, unsigned *minor, unsigned *release)
{
    *major = 1;
    *minor = fake.minor;
    *release = fake.release;
}

const char *ucp_get_version_string(void)
{
    static char text[32];

    snprintf(text, sizeof(text), "1.%u.%u", fake.minor, fake.release);
    return text;
}

ucs_status_t ucp_config_modify(ucp_config_t *config, const char *name, const char *value)
{
    size_t used = strlen(fake.made);

    (void)config;
    if (fake.refused != NULL && strcmp(name, fake.refused) == 0) {
        return UCS_ERR_INVALID_PARAM;
    }
    snprintf(fake.made + used, sizeof(fake.made) - used, "%s=%s ", name, value);
    return UCS_OK;
}

static void collect(enum log_level level, const char *line, size_t bytes, void *context)
{
    size_t used = strlen(fake.log);

    (void)level, (void)bytes, (void)context;
    snprintf(fake.log + used, sizeof(fake.log) - used, "%s\n", line);
}

static void apply(unsigned minor, unsigned parts)
{
    fake.minor = minor;
    fake.made[0] = fake.log[0] = '\0';
    ucx_settings_apply(NULL, parts);
}

static int setup(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    log_set_sink(collect, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_set_sink(NULL, NULL);
    return 0;
}

static void keys_carry_their_transport_since_1_17(void **state)
{
    (void)state;
    apply(16, UCX_PART_TCP);
    assert_string_equal(fake.made,
                        "ZCOPY_THRESH=4k KEEPALIVE_INTERVAL=1s KEEPIDLE=2s KEEPINTVL=1s KEEPCNT=3 "
                        "RX_SEG_SIZE=256k PUT_ENABLE=n ");
    apply(17, UCX_PART_TCP);
    assert_string_equal(fake.made,
                        "ZCOPY_THRESH=4k KEEPALIVE_INTERVAL=1s TCP_KEEPIDLE=2s TCP_KEEPINTVL=1s "
                        "TCP_KEEPCNT=3 TCP_RX_SEG_SIZE=256k TCP_PUT_ENABLE=n ");
    assert_string_equal(fake.log, "");
}

static void only_what_is_in_use_is_set(void **state)
{
    (void)state;
    apply(13, UCX_PART_SHM);
    assert_string_equal(fake.made, "ZCOPY_THRESH=4k KEEPALIVE_INTERVAL=1s MM_ERROR_HANDLING=y "
                                   "MM_SEG_SIZE=63k MM_FIFO_SIZE=32 ");
    apply(22, UCX_PART_SHM);
    assert_string_equal(fake.made, "ZCOPY_THRESH=4k KEEPALIVE_INTERVAL=1s MM_ERROR_HANDLING=y "
                                   "MM_SEG_SIZE=63k MM_FIFO_SIZE=32 ");
    apply(22, 0);
    assert_string_equal(fake.made, "ZCOPY_THRESH=4k KEEPALIVE_INTERVAL=1s ");
}

static void bridges_are_asked_for_by_the_name_of_the_version(void **state)
{
    (void)state;
    apply(16, UCX_PART_TCP);
    assert_null(strstr(fake.made, "BRIDGE"));
    apply(16, UCX_PART_TCP | UCX_PART_BRIDGE);
    assert_non_null(strstr(fake.made, " BRIDGE_ENABLE=y "));
    apply(17, UCX_PART_TCP | UCX_PART_BRIDGE);
    assert_non_null(strstr(fake.made, " TCP_BRIDGE_ENABLE=y "));
}

static void the_environment_wins(void **state)
{
    static const struct {
        const char *variable;
        const char *setting; /* that is then left alone */
    } cases[] = {
        {"UCX_ZCOPY_THRESH", "ZCOPY_THRESH"},           {"UCX_TCP_KEEPIDLE", "KEEPIDLE"},
        {"UCX_TCP_RX_SEG_SIZE", "RX_SEG_SIZE"},         {"UCX_TCP_PUT_ENABLE", "PUT_ENABLE"},
        {"UCX_TCP_BRIDGE_ENABLE", "BRIDGE_ENABLE"},     {"UCX_MM_SEG_SIZE", "MM_SEG_SIZE"},
        {"UCX_POSIX_SEG_SIZE", "MM_SEG_SIZE"},          {"UCX_SYSV_SEG_SIZE", "MM_SEG_SIZE"},
        {"UCX_MM_ERROR_HANDLING", "MM_ERROR_HANDLING"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned minor = 16; minor <= 17; minor++) {
            apply(minor, UCX_PART_TCP | UCX_PART_BRIDGE | UCX_PART_SHM);
            assert_non_null(strstr(fake.made, cases[i].setting));
            setenv(cases[i].variable, "7", 1);
            apply(minor, UCX_PART_TCP | UCX_PART_BRIDGE | UCX_PART_SHM);
            unsetenv(cases[i].variable);
            if (strstr(fake.made, cases[i].setting) != NULL) {
                fail_msg("1.%u: %s does not win: %s", minor, cases[i].variable, fake.made);
            }
        }
    }
}

static void a_setting_that_is_refused_is_said_and_the_others_are_made(void **state)
{
    (void)state;
    fake.refused = "TCP_KEEPCNT";
    apply(22, UCX_PART_TCP);
    assert_string_equal(fake.log, "level=warn event=ucx_setting_ignored setting=TCP_KEEPCNT "
                                  "value=3 ucx=1.22.0 reason=\"Invalid parameter\"\n");
    assert_non_null(strstr(fake.made, "TCP_PUT_ENABLE=n"));
}

/* The lines as 1.13 to 1.22 write them, by ucp_warn_unused_uct_config(). */
static void settings_without_effect_are_said_one_by_one(void **state)
{
    (void)state;
    fake.minor = 18;
    fake.release = 1;
    assert_true(ucx_settings_ignored("invalid configuration: KEEPIDLE=2s"));
    assert_string_equal(fake.log, "level=warn event=ucx_setting_ignored setting=KEEPIDLE value=2s "
                                  "ucx=1.18.1 reason=\"no transport in use has it\"\n");
    fake.log[0] = '\0';
    assert_true(ucx_settings_ignored("invalid configurations: PUT_ENABLE=n,KEEPCNT=3"));
    assert_non_null(strstr(fake.log, "setting=PUT_ENABLE value=n "));
    assert_non_null(strstr(fake.log, "setting=KEEPCNT value=3 "));
    assert_false(ucx_settings_ignored("invalid configuration"));
    assert_false(ucx_settings_ignored("transport 'tcp' is not available"));
}

int main(void)
{
#define SETTINGS_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(keys_carry_their_transport_since_1_17),
        SETTINGS_TEST(only_what_is_in_use_is_set),
        SETTINGS_TEST(bridges_are_asked_for_by_the_name_of_the_version),
        SETTINGS_TEST(the_environment_wins),
        SETTINGS_TEST(a_setting_that_is_refused_is_said_and_the_others_are_made),
        SETTINGS_TEST(settings_without_effect_are_said_one_by_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
