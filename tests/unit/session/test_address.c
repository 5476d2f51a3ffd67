/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "session/address.h"

static void good_addresses_come_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *back;
    } good[] = {
        {"127.0.0.1:7471", "127.0.0.1:7471"},
        {"[::1]:1", "[::1]:1"},
        {"127.0.0.1:65535", "127.0.0.1:65535"},
        {"/run/ckptctld/ckptctld.sock", "/run/ckptctld/ckptctld.sock"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct address address;
        char reason[CKPT_REASON_MAX + 1] = "";
        char back[CKPT_ADDRESS_MAX + 1];
        if (address_resolve(good[i].text, false, &address, reason) != CKPT_OK) {
            fail_msg("%s: %s", good[i].text, reason);
        }
        address_text(&address, back);
        assert_string_equal(back, good[i].back);
    }
}

static void any_host_is_for_listening(void **state)
{
    (void)state;
    struct address address;
    char reason[CKPT_REASON_MAX + 1];
    assert_int_equal(address_resolve("*:7471", true, &address, reason), CKPT_OK);
    assert_int_equal(address_resolve(":7471", true, &address, reason), CKPT_OK);
    assert_int_equal(address_resolve("*:7471", false, &address, reason), CKPT_ERR_INVALID);
    assert_int_equal(address_resolve(":7471", false, &address, reason), CKPT_ERR_INVALID);
}

static void what_others_cannot_reach_is_refused(void **state)
{
    (void)state;
    static const char *const any[] = {
        "*:7471", ":7471",         "0.0.0.0:7471",         "[::]:7471",
        "0:7471", "[0:0::0]:7471", "[::ffff:0.0.0.0]:7471"};
    char reason[CKPT_REASON_MAX + 1];
    for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++) {
        assert_true(address_is_any(any[i]));
        assert_int_equal(address_check(any[i], ADDRESS_CONNECT, reason), CKPT_ERR_INVALID);
        assert_non_null(strstr(reason, "every address"));
        assert_int_equal(address_check(any[i], ADDRESS_LISTEN, reason), CKPT_OK);
    }
    assert_false(address_is_any("10.0.0.1:7471"));
    assert_false(address_is_any("node7:7471"));
    assert_int_equal(address_check("10.1.2.3:0", ADDRESS_CONNECT, reason), CKPT_ERR_INVALID);
    assert_int_equal(address_check("10.1.2.3:0", ADDRESS_LISTEN, reason), CKPT_OK);
    assert_int_equal(address_check("node-7.rack_1:1", ADDRESS_CONNECT, reason), CKPT_OK);
    assert_true(address_is_number("10.0.0.1:1"));
    assert_true(address_is_number("[::1]:1"));
    assert_true(address_is_number("[fe80::1%lo]:1"));
    assert_false(address_is_number("[fe80::1%no-such-link]:1"));
    assert_false(address_is_number("10.0.0.1 x:1"));
    assert_false(address_is_number("beef:1"));
    assert_false(address_is_number("node7:1"));
}

static void bad_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",           "host",     "host:",    "host:x",
                                      "host:65536", "host:-1",  "::1:7471", "host:123456",
                                      "host:1 ",    "a:b:7471", "host:+1",  "relative/path",
                                      "http://x:1", "a b:1",    "[x]:1",    "[10.0.0.1]:1",
                                      "[]:1",       "x/y:1",    "\"x\":1",  "[::1:1"};
    char path[200];
    struct address address;
    char reason[CKPT_REASON_MAX + 1];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        reason[0] = '\0';
        if (address_resolve(bad[i], false, &address, reason) != CKPT_ERR_INVALID) {
            fail_msg("'%s' taken", bad[i]);
        }
        assert_string_not_equal(reason, "");
    }
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[108] = '\0';
    assert_int_equal(address_resolve(path, false, &address, reason), CKPT_ERR_INVALID);
    path[107] = '\0';
    assert_int_equal(address_resolve(path, false, &address, reason), CKPT_OK);
    char back[CKPT_ADDRESS_MAX + 1];
    address_text(&address, back);
    assert_string_equal(back, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses_come_back),
        cmocka_unit_test(any_host_is_for_listening),
        cmocka_unit_test(what_others_cannot_reach_is_refused),
        cmocka_unit_test(bad_addresses_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
