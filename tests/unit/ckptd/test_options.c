/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent is told, by the keys of its parts; and that a part stops which never started. */
#include "unit/daemon/story.h"

#include <stdlib.h>

#include "ckptd/daemon.h"
#include "ckptd/machine.h"
#include "ckptd/memory.h"
#include "ckptd/options.h"
#include "ckptd/parts.h"
#include "ckptd/transport.h"

static enum ckpt_status load(char *flag, struct config **config_out, char *reason)
{
    char *argv[] = {"ckptd", flag, NULL};
    char *environment[] = {NULL};
    enum config_request request;
    enum ckpt_status status =
        config_load(options_program(), flag != NULL ? 2 : 1, argv, environment, config_out,
                    &request, reason, CKPT_REASON_MAX + 1);
    return status == CKPT_OK ? options_check(*config_out, reason) : status;
}

static void defaults_are_right(void **state)
{
    (void)state;
    char reason[CKPT_REASON_MAX + 1];
    struct config *config = NULL;
    assert_int_equal(load(NULL, &config, reason), CKPT_OK);
    assert_int_equal(memory_segment_bytes(config), 256 * CKPT_MIB);
    assert_int_equal(memory_segments(config), 16);
    assert_int_equal(part_number(config, &part_machine, MACHINE_COPIES), 2);
    assert_string_equal(part_text(config, &part_rails, RAILS_SPEC), "ucx:tcp");
    config_delete(&config);
}

/* The machine's own defaults, which the simulator runs with, are those of the page of help, but for
 * the time of a load, which a simulated job has less of. */
static void defaults_are_the_machines(void **state)
{
    (void)state;
    char reason[CKPT_REASON_MAX + 1];
    struct config *config = NULL;
    struct agent_config machine;
    agent_config_default(&machine);
    assert_int_equal(load(NULL, &config, reason), CKPT_OK);
    const struct {
        enum machine_key key;
        uint32_t value;
    } pairs[] = {{MACHINE_RANKS_MAX, machine.ranks_max},
                 {MACHINE_PULLS_MAX, machine.pulls_max},
                 {MACHINE_COPIES, machine.copies_default},
                 {MACHINE_RESEND, machine.resend_ms},
                 {MACHINE_PULL_TIMEOUT, machine.pull_timeout_ms}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        assert_int_equal(part_number(config, &part_machine, pairs[i].key), pairs[i].value);
    }
    config_delete(&config);
}

static void what_the_table_cannot_say_is_refused(void **state)
{
    (void)state;
    static const struct {
        char *flag;
        const char *says;
    } cases[] = {
        {"--node=a b", "--node = a b: must be 1 to 63 of"},
        {"--node=rack/n1", "with a / in it, [arena] directory must be set"},
        {"--domain=", "--domain"},
        {"--coordinator=/run/x", "--coordinator: a path is not reached from other nodes"},
        {"--coordinator=n1:0", "--coordinator: "},
        {"--listen=nowhere", "--listen: "},
        {"--agent-socket-mode=9", "--agent-socket-mode = 9: must be octal"},
        {"--arena-segment-bytes=3MiB", "must be a multiple of 2MiB"},
        {"--arena-bytes=128MiB", "is less than"},
        {"--arena-numa-nodes=0,x", "must be numbers of NUMA nodes"},
        {"--transport=carrier-pigeon", "--transport = carrier-pigeon: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char reason[CKPT_REASON_MAX + 1] = "";
        struct config *config = NULL;
        enum ckpt_status status = load(cases[i].flag, &config, reason);
        if (status != CKPT_ERR_CONFIG || strstr(reason, cases[i].says) == NULL) {
            fail_msg("%s: %s, '%s'", cases[i].flag, ckpt_status_name(status), reason);
        }
        config_delete(&config);
    }
}

static void parts_that_made_nothing_stop(void **state)
{
    (void)state;
    size_t count = 0;
    struct daemon *d = calloc(1, sizeof(*d));
    assert_non_null(d);
    while (ckptd_parts[count] != NULL) {
        count++;
    }
    parts_stop(ckptd_parts, d, count);
    free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_right),
        cmocka_unit_test(defaults_are_the_machines),
        cmocka_unit_test(what_the_table_cannot_say_is_refused),
        cmocka_unit_test(parts_that_made_nothing_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
