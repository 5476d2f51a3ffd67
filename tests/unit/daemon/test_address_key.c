/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/daemon/story.h"

#include "daemon/address_key.h"

static const struct config_key keys[] = {
    {.section = "a", .name = "host", .flag = "host", .type = CONFIG_STRING, .help = "h"},
    {.section = "a", .name = "path", .flag = "path", .type = CONFIG_STRING, .help = "h"},
};
static struct part part = {.keys = keys, .key_count = 2};
static struct part *const parts[] = {&part, NULL};

static enum ckpt_status check(char *flag, char *reason)
{
    static const char *const sections[] = {"a", NULL};
    static struct config_key table[PARTS_KEYS_MAX];
    struct config_program program = {.name = "test", .version = "1", .keys = table};
    char *argv[] = {"test", flag, NULL};
    char *environment[] = {NULL};
    struct config *config = NULL;
    enum config_request request;
    program.key_count = parts_keys(parts, sections, table);
    assert_int_equal(config_load(&program, flag ? 2 : 1, argv, environment, &config, &request,
                                 reason, CKPT_REASON_MAX + 1),
                     CKPT_OK);
    enum ckpt_status status =
        address_key_check_host(config, &part, 0, ADDRESS_CONNECT, "a path is no host", reason);
    if (status == CKPT_OK) {
        status = address_key_check_path(config, &part, 1, reason);
    }
    config_delete(&config);
    return status;
}

static void what_is_wrong_is_said_with_where_it_is_from(void **state)
{
    (void)state;
    const struct {
        const char *name;
        char *flag;
        const char *says; /* NULL: it is right */
    } cases[] = {
        {"no value", NULL, NULL},
        {"a host and a port", "--host=10.0.0.1:7471", NULL},
        {"no port", "--host=10.0.0.1", "--host: "},
        {"port 0, to connect to", "--host=10.0.0.1:0", "--host: "},
        {"a path for a host", "--host=/run/x", "--host: a path is no host"},
        {"a path", "--path=/run/x.sock", NULL},
        {"a host for a path", "--path=10.0.0.1:1", "--path: want a path that starts with '/'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char reason[CKPT_REASON_MAX + 1] = "";
        enum ckpt_status status = check(cases[i].flag, reason);
        bool is_right = cases[i].says == NULL
                            ? status == CKPT_OK
                            : status == CKPT_ERR_CONFIG &&
                                  strncmp(reason, cases[i].says, strlen(cases[i].says)) == 0;
        if (!is_right) {
            fail_msg("%s: %s, '%s'", cases[i].name, ckpt_status_name(status), reason);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_said_with_where_it_is_from)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
