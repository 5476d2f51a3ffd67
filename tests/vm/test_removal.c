/* SPDX-License-Identifier: Apache-2.0 */
/* A device that is taken away in mid-read, here or at the peer: "rdma link delete" returns, all
 * reads end, and what has another rail ends well. */
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "vm/machines.h"

extern char **environ;

static pid_t run_rdma(const char *verb)
{
    char *remove[] = {"rdma", "link", (char *)verb, "rxe1", NULL};
    char *add[] = {"rdma", "link", (char *)verb, "rxe1", "type", "rxe", "netdev", "v1", NULL};
    pid_t child;

    assert_int_equal(
        posix_spawnp(&child, "rdma", NULL, NULL, verb[0] == 'd' ? remove : add, environ), 0);
    return child;
}

/* Turns the transport until the program has ended, as its owner would. */
static void await_rdma(struct world *w, pid_t child)
{
    time_t end = time(NULL) + PATIENCE_S;
    int status = 0;

    while (waitpid(child, &status, WNOHANG) == 0) {
        if (time(NULL) > end) {
            fail_msg("\"rdma link delete\" does not return");
        }
        turn(w, 10);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void put_back(void **state)
{
    struct world *w = *state;

    await_rdma(w, run_rdma("add"));
}

static int teardown_here(void **state)
{
    put_back(state);
    return teardown(state);
}

static void test_a_device_is_taken_away_here(void **state)
{
    struct world *w = *state;
    uint64_t before;
    double begin;

    expect_use(w, "v0");
    expect_use(w, "v1");
    get_going(w);
    begin = now();
    pid_t child = run_rdma("delete");
    wait_for(w, &w->ended, w->reads);
    printf("a device taken away here -> %u of %u read well -> %.1f s\n", check_all(w), w->reads,
           now() - begin);
    assert_int_equal(check_all(w), w->reads);
    await_rdma(w, child);
    printf("\"rdma link delete\" returned after %.1f s\n", now() - begin);
    before = received("v1");
    read_all(w);
    assert_true(received("v1") - before < CKPT_MIB);
}

/* What is registered and connected later does without it. */
static void test_life_goes_on_without_it(void **state)
{
    struct world *w = *state;
    struct transport_memory memory = {
        .address = w->region->address, .bytes = CKPT_MIB, .generation = 1};
    struct transport_region *region;
    uint8_t descriptor[CKPT_DESCRIPTOR_MAX];
    size_t bytes = 0;

    await_rdma(w, run_rdma("delete"));
    assert_int_equal(transport_register(w->reader, &memory, &region), CKPT_OK);
    assert_int_equal(transport_export(region, descriptor, &bytes), CKPT_OK);
    assert_int_equal(transport_deregister(region), CKPT_OK);
    transport_disconnect(w->endpoint);
    wait_for(w, &w->disconnected, 1);
    join(w);
    read_all(w);
}

static void test_a_device_is_taken_away_at_the_peer(void **state)
{
    struct world *w = *state;
    double begin;

    expect_use(w, "v0");
    expect_use(w, "v1");
    get_going(w);
    begin = now();
    ask("rdma link delete rxe1");
    wait_for(w, &w->ended, w->reads);
    printf("a device taken away at the peer -> %u of %u read well -> %.1f s\n", check_all(w),
           w->reads, now() - begin);
    assert_int_equal(check_all(w), w->reads);
    await_answer(NULL);
    printf("\"rdma link delete\" returned after %.1f s\n", now() - begin);
    read_all(w);
    order("rdma link add rxe1 type rxe netdev v1", NULL);
}

static int setup_one_rail(void **state)
{
    int result;

    machines_spec = "verbs:rxe1";
    result = setup(state);
    machines_spec = "verbs";
    return result;
}

static void test_the_only_rail_is_taken_away(void **state)
{
    struct world *w = *state;
    unsigned good;
    double begin;

    expect_use(w, "v1");
    get_going(w);
    begin = now();
    pid_t child = run_rdma("delete");
    wait_for(w, &w->ended, w->reads);
    good = check_all(w);
    for (unsigned i = 0; i < w->reads; i++) {
        assert_true(w->status[i] == CKPT_OK || w->status[i] == CKPT_ERR_LINK);
    }
    printf("the only rail's device taken away -> %u of %u read well, the others CKPT_ERR_LINK -> "
           "%.1f s\n",
           good, w->reads, now() - begin);
    assert_true(good < w->reads);
    await_rdma(w, child);
    assert_int_equal(
        transport_connect(w->reader, w->card.address, w->card.address_bytes, 0, &w->endpoint),
        CKPT_ERR_LINK);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_device_is_taken_away_here, setup, teardown_here),
        cmocka_unit_test_setup_teardown(test_life_goes_on_without_it, setup, teardown_here),
        cmocka_unit_test_setup_teardown(test_a_device_is_taken_away_at_the_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_only_rail_is_taken_away, setup_one_rail,
                                        teardown_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int count, char **arguments)
{
    return machines_main(count, arguments, run);
}
