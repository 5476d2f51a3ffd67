/* SPDX-License-Identifier: Apache-2.0 */
/* What comes to the door of a group and is none of its ranks; what public functions refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <ckpt/fanout.h>

#include "base/clock.h"
#include "fanout/star.h"

static const uint8_t token[TOKEN_BYTES] = {1, 2, 3, 4};
static struct star *leader;
static char door[TCP_ADDRESS_BYTES];
static char reason[CKPT_REASON_MAX + 1];

static int set_up(void **state)
{
    (void)state;
    return star_listen("127.0.0.1", 4, token, &leader, door, reason) != CKPT_OK;
}

static int tear_down(void **state)
{
    (void)state;
    star_close(&leader);
    return 0;
}

static struct star *come(uint32_t rank, const uint8_t *with)
{
    struct star *star;
    struct word_join join = {.rank = rank, .ranks = 4};
    memcpy(join.token, with, TOKEN_BYTES);
    assert_int_equal(star_connect(door, &star, reason), CKPT_OK);
    star_send(star, 0, WORD_JOIN, 0, &join, sizeof(join));
    return star;
}

/* Both ends, until one has a word. */
static bool turn(struct star *star, struct star *other, struct word *word)
{
    struct word unheard;
    for (int i = 0; i < 200; i++) {
        if (star_take(star, -1, 5, word) == CKPT_OK) {
            return true;
        }
        if (other != NULL) {
            (void)star_take(other, -1, 0, &unheard);
        }
    }
    return false;
}

static void who_knows_the_token_is_heard(void **state)
{
    struct word word;
    struct star *rank = come(2, token);
    (void)state;
    assert_true(turn(leader, rank, &word));
    assert_int_equal(word.type, WORD_JOIN);
    assert_int_equal(word.from, 2);
    assert_true(star_has(leader, 2));
    star_send(leader, 2, WORD_GO, 5, "abc", 3);
    assert_true(turn(rank, leader, &word));
    assert_int_equal(word.type, WORD_GO);
    assert_int_equal(word.fetch, 5);
    assert_int_equal(word.bytes, 3);
    assert_memory_equal(word.body, "abc", 3);
    star_close(&rank);
    assert_true(turn(leader, NULL, &word));
    assert_int_equal(word.type, WORD_LOST);
    assert_int_equal(word.from, 2);
    assert_false(star_has(leader, 2));
}

static void strangers_are_not_heard(void **state)
{
    static const uint8_t wrong[TOKEN_BYTES] = {1, 2, 3, 5};
    static const uint32_t ranks[] = {2, 0, 4, 2};
    struct word word;
    (void)state;
    for (size_t i = 0; i < 3; i++) { /* by its token, the leader's own rank, none of the group */
        struct star *stranger = come(ranks[i], i == 0 ? wrong : token);
        assert_true(turn(stranger, leader, &word));
        assert_int_equal(word.type, WORD_LOST);
        star_close(&stranger);
    }
    struct star *rank = come(2, token);
    assert_true(turn(leader, rank, &word));
    struct star *twice = come(2, token);
    assert_true(turn(twice, leader, &word));
    assert_int_equal(word.type, WORD_LOST);
    assert_true(star_has(leader, 2));
    star_close(&twice);
    star_close(&rank);
}

static void what_is_no_word_ends_the_connection(void **state)
{
    static const struct word_header headers[] = {
        {WORDS_VERSION + 1, WORD_JOIN, 0, sizeof(struct word_join)},
        {WORDS_VERSION, WORD_JOIN, 0, UINT32_MAX},
        {WORDS_VERSION, WORD_LOST, 0, 0},
        {WORDS_VERSION, 0, 0, 0},
        {WORDS_VERSION, WORD_DONE, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        int fd;
        char byte;
        struct word word;
        assert_int_equal(tcp_connect(door, &fd, reason), CKPT_OK);
        usleep(20000);
        assert_int_equal(write(fd, &headers[i], sizeof(headers[i])), sizeof(headers[i]));
        for (int k = 0; k < 20; k++) {
            assert_int_equal(star_take(leader, -1, 5, &word), CKPT_ERR_BUSY);
        }
        assert_int_equal(read(fd, &byte, 1), 0);
        close(fd);
    }
}

static void silent_strangers_leave_room(void **state)
{
    int fds[300];
    struct word word;
    (void)state;
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(tcp_connect(door, &fds[i], reason), CKPT_OK);
        (void)star_take(leader, -1, 0, &word);
    }
    struct star *rank = come(3, token);
    assert_true(turn(leader, rank, &word));
    assert_int_equal(word.from, 3);
    star_close(&rank);
    for (size_t i = 0; i < 50; i++) {
        close(fds[i]);
    }
}

static void options_are_looked_at(void **state)
{
    struct ckpt_fanout *group;
    const struct ckpt_fanout_options good = {.size = sizeof(good), .ranks = 2};
    struct ckpt_fanout_options bad[8];
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        bad[i] = good;
    }
    bad[0].size--;
    bad[1].ranks = 0;
    bad[2].ranks = CKPT_FANOUT_RANKS_MAX + 1;
    bad[3].rank = 2;
    bad[4].senders = 3;
    bad[5].road = 3;
    bad[6].piece_bytes = 65 * CKPT_MIB;
    bad[7].piece_bytes = CKPT_MIB + 1;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(ckpt_fanout_open(&bad[i], &group, reason, sizeof(reason)),
                         CKPT_ERR_INVALID);
    }
    struct ckpt_fanout_options nowhere = good;
    nowhere.address = "192.0.2.1";
    assert_int_equal(ckpt_fanout_open(&nowhere, &group, reason, sizeof(reason)), CKPT_ERR_SYSTEM);
    assert_non_null(strstr(reason, "192.0.2.1"));
}

static void ids_are_looked_at(void **state)
{
    uint8_t id[CKPT_FANOUT_ID_BYTES] = {0};
    struct ckpt_fanout *first, *second;
    struct ckpt_fanout_options options = {.size = sizeof(options), .ranks = 2};
    (void)state;
    assert_int_equal(ckpt_fanout_open(&options, &first, NULL, 0), CKPT_OK);
    options.rank = 1;
    options.ranks = 3;
    assert_int_equal(ckpt_fanout_open(&options, &second, NULL, 0), CKPT_OK);
    assert_int_equal(ckpt_fanout_id(second, id), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_fanout_join(second, NULL, 100), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_fanout_join(second, id, 100), CKPT_ERR_VERSION);
    assert_int_equal(ckpt_fanout_join(second, id, 100), CKPT_ERR_INVALID);
    ckpt_fanout_close(&second);
    assert_int_equal(ckpt_fanout_id(first, id), CKPT_OK);
    assert_int_equal(ckpt_fanout_open(&options, &second, NULL, 0), CKPT_OK);
    assert_int_equal(ckpt_fanout_join(second, id, 100), CKPT_ERR_WORLD);
    ckpt_fanout_close(&second);
    uint64_t from = clock_now_ms();
    assert_int_equal(ckpt_fanout_join(first, NULL, 200), CKPT_ERR_TIMEOUT);
    assert_true(clock_now_ms() - from < 1000);
    ckpt_fanout_close(&first);
    assert_null(first);
    ckpt_fanout_close(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_knows_the_token_is_heard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strangers_are_not_heard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_word_ends_the_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silent_strangers_leave_room, set_up, tear_down),
        cmocka_unit_test(options_are_looked_at),
        cmocka_unit_test(ids_are_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
