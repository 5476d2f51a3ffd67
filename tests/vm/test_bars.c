/* SPDX-License-Identifier: Apache-2.0 */
/* What a second rail is worth, and what a cut costs. Both rails are capped to one rate by the
 * source's machine, far below what Soft-RoCE does here. Prints; fails for wrong or lost bytes, or
 * when a fault has no end, never for being slow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "vm/machines.h"

#define RATE "8mbit"
/* In flight for each rail. It waits in the shaper, and must not do so for longer than
 * a queue pair waits for an answer (134 ms): it would ask again, and get everything twice. */
#define WINDOW 2
#define PIECE (CKPT_MIB * 3 / 32)

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void cap(bool on)
{
    for (int rail = 0; rail < 2; rail++) {
        char command[128];
        snprintf(command, sizeof(command),
                 on ? "tc qdisc add dev v%d root tbf rate " RATE " burst 16kb limit 33554432"
                    : "tc qdisc del dev v%d root",
                 rail);
        order(command, NULL);
    }
}

static void start_piece(struct world *w, uint64_t index)
{
    struct transport_read_request request = {.endpoint = w->endpoint,
                                             .descriptor = w->card.descriptor,
                                             .descriptor_bytes = w->card.descriptor_bytes,
                                             .remote_offset = index * PIECE,
                                             .local = w->region,
                                             .local_offset = index * CKPT_MIB,
                                             .bytes = PIECE,
                                             .cookie = index};
    assert_int_equal(transport_read(&request), CKPT_OK);
}

/* Each piece came once, and well. */
static void check_pieces(const struct world *w)
{
    for (uint64_t i = 0; i < READS; i++) {
        assert_int_equal(w->seen[i], 1);
        assert_int_equal(w->status[i], CKPT_OK);
        for (uint64_t at = 0; at < PIECE; at++) {
            if (w->region->address[i * CKPT_MIB + at] != pattern(i * PIECE + at)) {
                fail_msg("byte %ju of piece %ju is wrong", (uintmax_t)at, (uintmax_t)i);
            }
        }
    }
}

/* All reads, with so many in flight; after `cut_at` of them the source's v1 goes down. Returns the
 * seconds they took, and how many were left at the cut and the seconds from then. */
static double read_window(struct world *w, unsigned window, unsigned cut_at, unsigned *left_out,
                          double *since_out)
{
    double begin = now(), cut = 0;
    unsigned started = 0;

    memset(w->seen, 0, sizeof(w->seen));
    memset(w->region->address, 0xee, REGION_BYTES);
    w->ended = 0;
    while (w->ended < READS) {
        while (started < READS && started - w->ended < window) {
            start_piece(w, started++);
        }
        wait_for(w, &w->ended, w->ended + 1);
        if (cut_at != 0 && cut == 0 && w->ended >= cut_at) {
            order("ip link set v1 down", NULL);
            cut = now();
            *left_out = READS - w->ended;
        }
    }
    if (cut != 0) {
        *since_out = now() - cut;
    }
    begin = now() - begin;
    check_pieces(w);
    return begin;
}

/* A machine under emulation among others stands still now and then. */
static double best_of_three(struct world *w, unsigned window)
{
    double best = read_window(w, window, 0, NULL, NULL);

    for (int round = 0; round < 2; round++) {
        double seconds = read_window(w, window, 0, NULL, NULL);
        best = seconds < best ? seconds : best;
    }
    return best;
}

static void *setup_on(const char *spec)
{
    void *state = NULL;

    machines_spec = spec;
    assert_int_equal(setup(&state), 0);
    read_window(state, 2 * WINDOW, 0, NULL, NULL); /* connects */
    return state;
}

static void test_rails(void **state)
{
    double one, two, since = 0;
    unsigned left = 0;
    void *world;

    (void)state;
    world = setup_on("verbs:rxe0");
    cap(true);
    one = best_of_three(world, WINDOW);
    cap(false);
    teardown(&world);

    world = setup_on("verbs:rxe0+rxe1");
    cap(true);
    two = best_of_three(world, 2 * WINDOW);
    printf("%d MiB, rails capped at " RATE ": one rail %.2f s, two rails %.2f s, %.2f times\n",
           READS * 3 / 32, one, two, one / two);

    read_window(world, 2 * WINDOW, READS / 4, &left, &since);
    printf(
        "one of two cut with %u pieces left: done after %.2f s, by one rail alone %.2f s, so the "
        "cut cost %.2f s\n",
        left, since, left * one / READS, since - left * one / READS);
    fflush(stdout);
    cap(false);
    order("ip link set v1 up", NULL);
    teardown(&world);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int count, char **arguments)
{
    return machines_main(count, arguments, run);
}
