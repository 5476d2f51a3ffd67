/* SPDX-License-Identifier: Apache-2.0 */
/* Which address a rail has, from tables of addresses: those of Soft-RoCE as ibv_query_gid_table()
 * gave them in a machine, those of an adapter with a VLAN by hand, after its documentation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "transport/verbs/gid.h"

#define LINK_LOCAL                                                                                 \
    {                                                                                              \
        0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x28, 0x39, 0x21, 0xff, 0xfe, 0x34, 0xb3, 0x82               \
    }
#define FOUR(a, b, c, d)                                                                           \
    {                                                                                              \
        [10] = 0xff, [11] = 0xff, [12] = (a), [13] = (b), [14] = (c), [15] = (d)                   \
    }
#define ULA(last)                                                                                  \
    {                                                                                              \
        0xfd, 0x00, 0x00, 0x77, [15] = (last)                                                      \
    }
#define GLOBAL(last)                                                                               \
    {                                                                                              \
        0x20, 0x01, 0x0d, 0xb8, [15] = (last)                                                      \
    }
#define V1 IBV_GID_TYPE_ROCE_V1
#define V2 IBV_GID_TYPE_ROCE_V2

/* clang-format off */
static const struct ibv_gid_entry
    /* Soft-RoCE, with an IPv4 address; with fd00:77::1/64 alone; with nothing given to it. */
    rxe_four[] = {{{LINK_LOCAL}, 0, 1, V2, 3}, {{FOUR(10, 77, 0, 1)}, 1, 1, V2, 3}},
    rxe_six[] = {{{LINK_LOCAL}, 0, 1, V2, 3}, {{ULA(1)}, 1, 1, V2, 3}},
    rxe_bare[] = {{{LINK_LOCAL}, 0, 1, V2, 3}},
    /* Each address twice, by both versions of RoCE; a VLAN's interface; a second port. */
    adapter[] = {{{LINK_LOCAL}, 0, 1, V1, 5}, {{LINK_LOCAL}, 1, 1, V2, 5},
                 {{GLOBAL(7)}, 2, 1, V1, 5}, {{GLOBAL(7)}, 3, 1, V2, 5},
                 {{FOUR(192, 168, 4, 7)}, 4, 1, V1, 5}, {{FOUR(192, 168, 4, 7)}, 5, 1, V2, 5},
                 {{FOUR(10, 5, 0, 7)}, 6, 1, V2, 9},
                 {{LINK_LOCAL}, 0, 2, V2, 6}, {{ULA(3)}, 1, 2, V2, 6}, {{GLOBAL(8)}, 2, 2, V2, 6}},
    /* IPv4's own link-local range is no better; version 1 does not leave its network; an address
     * without an interface has lost it. */
    useless[] = {{{LINK_LOCAL}, 0, 1, V2, 3}, {{FOUR(169, 254, 3, 1)}, 1, 1, V2, 3},
                 {{FOUR(10, 0, 0, 1)}, 2, 1, V1, 3}, {{ULA(9)}, 3, 1, V2, 0}};
/* clang-format on */

#define CHOOSE(table, port, entry_out)                                                             \
    verbs_gid_choose(table, sizeof(table) / sizeof((table)[0]), port, entry_out)

static void test_chosen(void **state)
{
    struct ibv_gid_entry entry = {0};

    (void)state;
    assert_true(CHOOSE(rxe_four, 1, &entry));
    assert_int_equal(entry.gid_index, 1);
    assert_true(CHOOSE(rxe_six, 1, &entry));
    assert_int_equal(entry.gid_index, 1);
    assert_memory_equal(entry.gid.raw, rxe_six[1].gid.raw, 16);
    assert_true(CHOOSE(adapter, 1, &entry));
    assert_int_equal(entry.gid_index, 5); /* IPv4, though a global IPv6 address comes first */
    assert_int_equal(entry.ndev_ifindex, 5);
    assert_true(CHOOSE(adapter, 2, &entry));
    assert_int_equal(entry.gid_index, 1); /* the first of two */
}

static void test_none(void **state)
{
    struct ibv_gid_entry entry = {.gid_index = 77};

    (void)state;
    assert_false(CHOOSE(rxe_bare, 1, &entry));
    assert_false(CHOOSE(useless, 1, &entry));
    assert_false(CHOOSE(rxe_four, 2, &entry));
    assert_false(verbs_gid_choose(rxe_four, 0, 1, &entry));
    assert_int_equal(entry.gid_index, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chosen),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
