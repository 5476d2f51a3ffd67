/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/prng.h"

typedef uint32_t crc_function(uint32_t crc, const void *data, size_t bytes);

/* RFC 3720, appendix B.4; the numbers there are printed byte by byte. */
static void check_rfc3720_vectors(crc_function *crc)
{
    uint8_t data[48];
    memset(data, 0, sizeof(data));
    assert_int_equal(crc(0, data, 32), 0x8a9136aa);
    memset(data, 0xff, sizeof(data));
    assert_int_equal(crc(0, data, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++) {
        data[i] = i;
    }
    assert_int_equal(crc(0, data, 32), 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++) {
        data[i] = (uint8_t)(31 - i);
    }
    assert_int_equal(crc(0, data, 32), 0x113fdb5c);
    static const uint8_t iscsi_read[48] = {
        0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02,
    };
    assert_int_equal(crc(0, iscsi_read, 48), 0xd9963a56);
    assert_int_equal(crc(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc(0, "", 0), 0);
}

static void both_ways_give_the_vectors(void **state)
{
    (void)state;
    check_rfc3720_vectors(crc32c);
    check_rfc3720_vectors(crc32c_portable);
}

static void pieces_and_alignments_make_no_difference(void **state)
{
    (void)state;
    uint8_t data[257];
    struct prng prng;
    prng_seed(&prng, 1);
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)prng_next(&prng);
    }
    for (size_t start = 0; start < 9; start++) {
        for (size_t end = start; end <= sizeof(data); end++) {
            uint32_t whole = crc32c_portable(0, data + start, end - start);
            size_t cut = start + (size_t)prng_below(&prng, end - start + 1);
            assert_int_equal(crc32c(0, data + start, end - start), whole);
            uint32_t first = crc32c(0, data + start, cut - start);
            assert_int_equal(crc32c(first, data + cut, end - cut), whole);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_give_the_vectors),
        cmocka_unit_test(pieces_and_alignments_make_no_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
