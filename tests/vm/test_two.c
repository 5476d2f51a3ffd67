/* SPDX-License-Identifier: Apache-2.0 */
/* Faults between two machines: peers that die, stop and take their memory back, links that are cut
 * and that lose packets. Each ends in success or in an error of its class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "vm/machines.h"

static void test_bytes_come_by_both_rails(void **state)
{
    struct world *w = *state;
    uint64_t before[2] = {received("v0"), received("v1")};

    read_all(w);
    assert_true(received("v0") - before[0] > 4 * CKPT_MIB);
    assert_true(received("v1") - before[1] > 4 * CKPT_MIB);
}

static void test_peer_killed(void **state)
{
    struct world *w = *state;

    get_going(w);
    order("kill", NULL);
    wait_for(w, &w->ended, READS);
    assert_true(check_all(w) < READS);
    expect_status(w, CKPT_ERR_LINK, CKPT_ERR_TIMEOUT);
    assert_int_equal(start(w, 0), CKPT_ERR_LINK);
    transport_disconnect(w->endpoint);
    wait_for(w, &w->disconnected, 1);
    order("start", &w->card);
    join(w);
    read_all(w);
}

/* Its processor takes no part: a stopped peer is read all the same. */
static void test_peer_stopped(void **state)
{
    struct world *w = *state;

    get_going(w);
    order("stop", NULL);
    wait_for(w, &w->ended, READS);
    assert_int_equal(check_all(w), READS);
    order("continue", NULL);
}

static void test_peer_stopped_before_the_connection(void **state)
{
    struct world *w = *state;

    order("stop", NULL);
    start_all(w);
    wait_for(w, &w->ended, READS);
    assert_int_equal(check_all(w), 0);
    expect_status(w, CKPT_ERR_LINK, CKPT_ERR_TIMEOUT);
    transport_disconnect(w->endpoint);
    wait_for(w, &w->disconnected, 1);
    order("continue", NULL);
    join(w);
    read_all(w);
}

static void test_region_deregistered(void **state)
{
    struct world *w = *state;

    get_going(w);
    order("deregister", NULL);
    wait_for(w, &w->ended, READS);
    assert_true(check_all(w) < READS);
    expect_status(w, CKPT_ERR_STALE, CKPT_ERR_LINK);
}

static void test_region_revoked(void **state)
{
    struct world *w = *state;

    get_going(w);
    order("revoke", NULL);
    wait_for(w, &w->ended, READS);
    /* What ended well has the bytes of before. */
    assert_true(check_all(w) < READS);
    expect_status(w, CKPT_ERR_STALE, CKPT_ERR_STALE);
}

static void test_link_of_the_peer_cut(void **state)
{
    struct world *w = *state;

    get_going(w);
    order("ip link set v1 down", NULL);
    wait_for(w, &w->ended, READS);
    assert_int_equal(check_all(w), READS);
    order("ip link set v1 up", NULL);
    expect_use(w, "v1");
}

static void test_own_link_cut(void **state)
{
    struct world *w = *state;

    get_going(w);
    set_link("v0", false);
    wait_for(w, &w->ended, READS);
    assert_int_equal(check_all(w), READS);
    set_link("v0", true);
    expect_use(w, "v0");
}

static void test_all_links_cut(void **state)
{
    struct world *w = *state;

    get_going(w);
    set_link("v0", false);
    set_link("v1", false);
    wait_for(w, &w->ended, READS);
    assert_true(check_all(w) < READS);
    expect_status(w, CKPT_ERR_LINK, CKPT_ERR_TIMEOUT);
    set_link("v0", true);
    set_link("v1", true);
    transport_disconnect(w->endpoint);
    wait_for(w, &w->disconnected, 1);
    join(w);
    read_all(w);
}

static void test_lossy_link(void **state)
{
    struct world *w = *state;

    order("tc qdisc add dev v0 root netem loss 1%", NULL);
    start_all(w);
    wait_for(w, &w->ended, READS);
    order("tc qdisc del dev v0 root", NULL);
    assert_int_equal(check_all(w), READS);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
#define TWO_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        TWO_TEST(test_bytes_come_by_both_rails),
        TWO_TEST(test_peer_killed),
        TWO_TEST(test_peer_stopped),
        TWO_TEST(test_peer_stopped_before_the_connection),
        TWO_TEST(test_region_deregistered),
        TWO_TEST(test_region_revoked),
        TWO_TEST(test_link_of_the_peer_cut),
        TWO_TEST(test_own_link_cut),
        TWO_TEST(test_all_links_cut),
        TWO_TEST(test_lossy_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int count, char **arguments)
{
    return machines_main(count, arguments, run);
}
