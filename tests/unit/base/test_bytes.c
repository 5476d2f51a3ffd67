/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"

static void numbers_are_little_endian_at_any_alignment(void **state)
{
    (void)state;
    uint8_t b[9] = {0};
    store_le64(b + 1, UINT64_C(0x8877665544332211));
    for (int i = 0; i < 8; i++) {
        assert_int_equal(b[1 + i], 0x11 * (i + 1));
    }
    assert_true(load_le64(b + 1) == UINT64_C(0x8877665544332211));
    assert_int_equal(load_le32(b + 1), 0x44332211);
    assert_int_equal(load_le32(b + 5), 0x88776655);
    assert_int_equal(load_le16(b + 7), 0x8877);
    store_le16(b, 0xfffe);
    assert_int_equal(load_le16(b), 0xfffe);
    store_le32(b + 3, 0x80000001);
    assert_int_equal(load_le32(b + 3), 0x80000001);
    assert_int_equal(b[7], 0x77);
}

static void hex_has_two_digits_a_byte(void **state)
{
    (void)state;
    char hex[9] = "********";
    hex_encode("\x00\x0f\xf0\xff", 4, hex);
    assert_string_equal(hex, "000ff0ff");
    hex_encode("", 0, hex);
    assert_string_equal(hex, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_little_endian_at_any_alignment),
        cmocka_unit_test(hex_has_two_digits_a_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
