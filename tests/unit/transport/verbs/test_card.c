/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "transport/transport.h"
#include "transport/verbs/card.h"
#include "transport/verbs/fault_class.h"

#define FOUR(a, b, c, d)                                                                           \
    {                                                                                              \
        [10] = 0xff, [11] = 0xff, [12] = (a), [13] = (b), [14] = (c), [15] = (d)                   \
    }

static struct card make_card(void)
{
    struct card card = {.secret = "0123456789abcde",
                        .rails_count = 3,
                        .rails = {{FOUR(10, 77, 0, 1), 4791},
                                  {FOUR(10, 77, 1, 1), 4792},
                                  {FOUR(192, 168, 0, 1), 65535}}};
    return card;
}

static void test_card_survives(void **state)
{
    struct card card = make_card(), back;
    uint8_t bytes[CARD_BYTES_MAX];
    size_t count = card_encode(&card, bytes);

    (void)state;
    assert_int_equal(count, CARD_SECRET_BYTES + 8 + 3 * 24);
    assert_int_equal(card_decode(bytes, count, &back), CKPT_OK);
    assert_memory_equal(&back, &card, sizeof(card));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(card_decode(bytes, i, &back), CKPT_ERR_PROTOCOL);
    }
    bytes[CARD_SECRET_BYTES] = 0;
    assert_int_equal(card_decode(bytes, count, &back), CKPT_ERR_PROTOCOL);
    bytes[CARD_SECRET_BYTES] = VERBS_RAILS_MAX + 1;
    assert_int_equal(card_decode(bytes, count, &back), CKPT_ERR_PROTOCOL);
}

static void test_ticket_survives(void **state)
{
    struct ticket ticket = {.address = UINT64_MAX - 5,
                            .slot = 0x1122334455667788,
                            .rails_count = 2,
                            .keys = {{1, 2}, {UINT32_MAX, 4}}};
    struct ticket back;
    uint8_t bytes[TICKET_BYTES_MAX];
    size_t count = ticket_encode(&ticket, bytes);

    (void)state;
    assert_int_equal(ticket_decode(bytes, count, &back), CKPT_OK);
    assert_memory_equal(&back, &ticket, sizeof(ticket));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ticket_decode(bytes, i, &back), CKPT_ERR_PROTOCOL);
    }
}

static void test_first_words(void **state)
{
    struct hello hello = {.target = 7, .reader = 8, .mtu = 5, .secret = "0123456789abcde"};
    struct hello hello_back;
    struct welcome welcome = {.source = 9, .mtu = 3, .depth = 16}, welcome_back;
    uint8_t bytes[56] = {0}; /* as rdma_cm pads it */

    (void)state;
    hello_encode(&hello, bytes);
    assert_int_equal(hello_decode(bytes, sizeof(bytes), &hello_back), CKPT_OK);
    assert_memory_equal(&hello_back.secret, &hello.secret, CARD_SECRET_BYTES);
    assert_int_equal(hello_back.target, 7);
    assert_int_equal(hello_back.reader, 8);
    assert_int_equal(hello_back.mtu, 5);
    assert_int_equal(hello_decode(bytes, HELLO_BYTES - 1, &hello_back), CKPT_ERR_PROTOCOL);
    assert_int_equal(hello_decode(NULL, 0, &hello_back), CKPT_ERR_PROTOCOL);
    bytes[4]++;
    assert_int_equal(hello_decode(bytes, sizeof(bytes), &hello_back), CKPT_ERR_VERSION);
    welcome_encode(&welcome, bytes);
    assert_int_equal(welcome_decode(bytes, sizeof(bytes), &welcome_back), CKPT_OK);
    assert_int_equal(welcome_back.source, 9);
    assert_int_equal(welcome_back.mtu, 3);
    assert_int_equal(welcome_back.depth, 16);
    bytes[0]++;
    assert_int_equal(welcome_decode(bytes, sizeof(bytes), &welcome_back), CKPT_ERR_PROTOCOL);
}

static uint32_t chosen(const struct card *card, const uint8_t own[16], uint32_t own_index)
{
    uint32_t rail = UINT32_MAX;

    assert_true(card_choose(card, own, own_index, &rail));
    return rail;
}

static void test_the_nearest_rail_is_chosen(void **state)
{
    struct card card = make_card();
    static const uint8_t first[16] = FOUR(10, 77, 0, 2), second[16] = FOUR(10, 77, 1, 200);
    static const uint8_t third[16] = FOUR(192, 168, 0, 9), elsewhere[16] = FOUR(77, 1, 1, 1);

    (void)state;
    assert_int_equal(chosen(&card, first, 2), 0);
    assert_int_equal(chosen(&card, second, 0), 1);
    assert_int_equal(chosen(&card, third, 0), 2);
    /* Rails of one subnet: each to its counterpart. */
    for (uint32_t i = 0; i < 3; i++) {
        struct card same = {
            .rails_count = 3,
            .rails = {{FOUR(10, 0, 0, 4), 1}, {FOUR(10, 0, 0, 5), 1}, {FOUR(10, 0, 0, 6), 1}}};
        assert_int_equal(chosen(&same, elsewhere, i), i);
    }
}

/* An IPv4 address begins with zeros, as 2001:: does, and fd00:: does not. */
static void test_a_rail_of_the_other_family_is_no_way(void **state)
{
    static const uint8_t global[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 9};
    static const uint8_t four[16] = FOUR(10, 77, 0, 2);
    struct card both = {
        .rails_count = 3,
        .rails = {{FOUR(10, 77, 0, 1), 1}, {{0xfd, [15] = 1}, 1}, {{0xfd, 0, 0, 1, [15] = 1}, 1}}};
    struct card six = {.rails_count = 1, .rails = {{{0xfd, [15] = 1}, 1}}};
    struct card only_four = {.rails_count = 1, .rails = {{FOUR(10, 77, 0, 1), 1}}};
    static const uint8_t near_third[16] = {0xfd, 0, 0, 1, [15] = 2};
    uint32_t rail = 77;

    (void)state;
    assert_int_equal(chosen(&both, global, 0), 1);
    assert_int_equal(chosen(&both, global, 2), 2);
    assert_int_equal(chosen(&both, near_third, 1), 2);
    assert_int_equal(chosen(&both, four, 1), 0);
    assert_int_equal(chosen(&six, global, 3), 0);
    assert_false(card_choose(&six, four, 0, &rail));
    assert_false(card_choose(&only_four, global, 0, &rail));
    assert_int_equal(rail, 77);
}

static void test_routable(void **state)
{
    static const struct {
        uint8_t gid[16];
        bool routable;
    } cases[] = {
        {FOUR(10, 77, 0, 1), true},
        {FOUR(8, 8, 8, 8), true},
        {FOUR(169, 254, 1, 1), false},
        {FOUR(127, 0, 0, 1), false},
        {FOUR(0, 0, 0, 0), false},
        {FOUR(224, 0, 0, 1), false},
        {{0}, false},
        {{[15] = 1}, false},
        {{0xfe, 0x80, [15] = 1}, false},
        {{0xfe, 0xbf, [15] = 1}, false},
        {{0xff, 0x02, [15] = 1}, false},
        {{0x20, 0x01, 0x0d, 0xb8, [15] = 1}, true},
        {{0xfd, 0x00, [15] = 1}, true},
        {{0xfe, 0xc0, [15] = 1}, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(card_is_routable(cases[i].gid), cases[i].routable);
    }
}

static void test_whose_fault(void **state)
{
    (void)state;
    assert_int_equal(fault_class_of(IBV_WC_WR_FLUSH_ERR, true), FAULT_FLUSHED);
    assert_int_equal(fault_class_of(IBV_WC_RETRY_EXC_ERR, true), FAULT_RAIL);
    assert_int_equal(fault_class_of(IBV_WC_LOC_QP_OP_ERR, false), FAULT_RAIL);
    assert_int_equal(fault_class_of(IBV_WC_LOC_QP_OP_ERR, true), FAULT_PROGRAM);
    assert_int_equal(fault_class_of(IBV_WC_REM_ACCESS_ERR, true), FAULT_LEASE);
    assert_int_equal(fault_class_of(IBV_WC_LOC_PROT_ERR, true), FAULT_PROGRAM);
    assert_int_equal(fault_class_of(IBV_WC_LOC_LEN_ERR, true), FAULT_PROGRAM);
    assert_int_equal(fault_class_of(IBV_WC_REM_INV_REQ_ERR, true), FAULT_PROGRAM);
}

static void test_no_device(void **state)
{
    struct transport *t = NULL;

    (void)state;
    if (access("/sys/class/infiniband", F_OK) == 0) {
        skip();
    }
    assert_int_equal(transport_open("verbs", NULL, &t), CKPT_ERR_CONFIG);
    assert_null(t);
    assert_non_null(strstr(transport_open_error(), "this machine has no RDMA device"));
    assert_non_null(strstr(transport_open_error(), "use transport ucx"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_card_survives),
        cmocka_unit_test(test_ticket_survives),
        cmocka_unit_test(test_first_words),
        cmocka_unit_test(test_the_nearest_rail_is_chosen),
        cmocka_unit_test(test_a_rail_of_the_other_family_is_no_way),
        cmocka_unit_test(test_routable),
        cmocka_unit_test(test_whose_fault),
        cmocka_unit_test(test_no_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
