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

#include "ckptctld/daemon.h"
#include "ckptctld/options.h"
#include "ckptctld/parts.h"
#include "store/store.h"

static enum ckpt_status read_flags(char **argv, int argc, struct options *options_out,
                                   struct config **config_out, char *reason_out)
{
    enum config_request request;
    char *environment[] = {NULL};
    enum ckpt_status status = config_load(options_program(), argc, argv, environment, config_out,
                                          &request, reason_out, CKPT_REASON_MAX + 1);
    if (status == CKPT_OK) {
        status = options_read(*config_out, options_out, reason_out);
    }
    return status;
}

/* What the help page says is what the machine says. */
static void defaults_are_the_machines(void **state)
{
    (void)state;
    char *argv[] = {"ckptctld", NULL};
    char reason[CKPT_REASON_MAX + 1];
    struct config *config = NULL;
    struct options options;
    struct coordinator_config machine;
    assert_int_equal(read_flags(argv, 1, &options, &config, reason), CKPT_OK);
    coordinator_config_default(&machine);
    assert_memory_equal(&options.machine, &machine, sizeof(machine));
    assert_string_equal(options.listen, "127.0.0.1:7471");
    assert_string_equal(options.state_directory, "/var/lib/ckptctld");
    assert_ptr_equal(options.store, &store_sqlite);
    assert_int_equal(options.tcp_admin, TCP_ADMIN_STATUS);
    assert_int_equal(options.epoch_above, 0);
    config_delete(&config);
}

static char *every_flag[] = {"ckptctld",
                             "--listen=*:1",
                             "--socket=/s",
                             "--state-directory=/d",
                             "--store=memory",
                             "--tcp-admin=full",
                             "--agents-max=1",
                             "--runs-max=2",
                             "--checkpoints-max=4",
                             "--shards-max=16",
                             "--keep=5",
                             "--heartbeat=10ms",
                             "--lease=60ms",
                             "--disconnect-grace=7ms",
                             "--forget=15s",
                             "--save-timeout=8s",
                             "--resend=90ms",
                             "--restore-settle=100ms",
                             "--repair-after=17s",
                             "--restore-timeout=11s",
                             "--restore-passes=12",
                             "--pull-attempts-max=13",
                             "--ended-timeout=9s",
                             "--pressure-percent=14",
                             "--user-share=60",
                             "--expire=48h",
                             "--expire-last",
                             "--digest=fingerprint",
                             "--tier-every=100",
                             "--tier-max-age=30min",
                             "--log-level=debug",
                             "--log-format=journal",
                             "--epoch-above=99",
                             NULL};

static void every_flag_arrives(void **state)
{
    (void)state;
    const struct coordinator_config wanted = {
        .agents_max = 1,
        .runs_max = 2,
        .checkpoints_max = 4,
        .shards_max = 16,
        .keep = 5,
        .heartbeat_ms = 10,
        .lease_ms = 60,
        .disconnect_grace_ms = 7,
        .forget_ms = 15000,
        .save_timeout_ms = 8000,
        .resend_ms = 90,
        .restore_settle_ms = 100,
        .repair_after_ms = 17000,
        .restore_timeout_ms = 11000,
        .restore_passes = 12,
        .ended_timeout_ms = 9000,
        .pressure_percent = 14,
        .user_share_percent = 60,
        .expire_ms = UINT64_C(48) * 3600 * 1000,
        .expire_last = true,
        .pull_attempts_max = 13,
        .digest = DIGEST_KIND_FINGERPRINT,
        .persist_every = 100,
        .persist_max_age_ms = 30 * 60 * 1000,
    };
    char reason[CKPT_REASON_MAX + 1];
    struct config *config = NULL;
    struct options options;
    assert_int_equal(read_flags(every_flag, (int)(sizeof(every_flag) / sizeof(every_flag[0])) - 1,
                                &options, &config, reason),
                     CKPT_OK);
    assert_memory_equal(&options.machine, &wanted, sizeof(wanted));
    assert_string_equal(options.listen, "*:1");
    assert_string_equal(options.socket, "/s");
    assert_string_equal(options.state_directory, "/d");
    assert_ptr_equal(options.store, &store_memory);
    assert_int_equal(options.tcp_admin, TCP_ADMIN_FULL);
    assert_int_equal(options.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(options.log_format, LOG_FORMAT_JOURNAL);
    assert_int_equal(options.epoch_above, 99);
    config_delete(&config);
}

/* In the words of the file, with where each of the two is from. */
static void contradictions_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        char *flag;
        const char *says[3];
    } cases[] = {
        {"[coordinator]\nheartbeat = 2s\n\nlease = 3s\n",
         NULL,
         {":4: [coordinator] lease = 3s", "must be more than twice",
          ":2: [coordinator] heartbeat = 2s"}},
        {"[coordinator]\nlease = 30s\n",
         "--forget=25s",
         {"--forget = 25s", "must be at least", ":2: [coordinator] lease = 30s"}},
        {"", "--save-timeout=400ms", {"--save-timeout = 400ms", "default of --resend = 500ms", ""}},
        {"", "--restore-timeout=20ms", {"--restore-timeout = 20ms", "at least", "--resend"}},
        {"[coordinator]\n\n\nlisten = localhost\n",
         NULL,
         {":4: [coordinator] listen: 'localhost' is no address", "host:port", ""}},
        {"", "--listen=/run/x", {"--listen: agents do not reach a path", "", ""}},
        {"", "--cluster=12", {"--cluster = '12'", "32 hexadecimal", ""}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[] = "/tmp/ckpt_test_options_XXXXXX";
        char *argv[] = {"ckptctld", "-c", path, cases[i].flag, NULL};
        char reason[CKPT_REASON_MAX + 1];
        struct config *config = NULL;
        struct options options;
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, cases[i].file, strlen(cases[i].file)), strlen(cases[i].file));
        close(fd);
        assert_int_equal(read_flags(argv, cases[i].flag ? 4 : 3, &options, &config, reason),
                         CKPT_ERR_CONFIG);
        for (size_t j = 0; j < 3; j++) {
            if (!strstr(reason, cases[i].says[j])) {
                fail_msg("'%s' does not say '%s'", reason, cases[i].says[j]);
            }
        }
        config_delete(&config);
        unlink(path);
    }
}

static void parts_that_made_nothing_stop(void **state)
{
    (void)state;
    size_t count = 0;
    struct daemon *d = calloc(1, sizeof(*d));
    assert_non_null(d);
    while (ckptctld_parts[count] != NULL) {
        count++;
    }
    parts_stop(ckptctld_parts, d, count);
    free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_machines),
        cmocka_unit_test(every_flag_arrives),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(parts_that_made_nothing_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
