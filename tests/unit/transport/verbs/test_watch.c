/* SPDX-License-Identifier: Apache-2.0 */
/* Rails that are down or reach nobody are said once, by made structs and a clock that is told: no
 * device, and a port whose state the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "transport/verbs/rail.h"
#include "transport/verbs/watch.h"

#define SECOND UINT64_C(1000000000)
#define RAILS 2
#define SILENCE_S 10 /* docs/transport.md */

struct bench {
    struct verbs verbs;
    struct ibv_context devices[RAILS];
    bool ports[RAILS]; /* what the port says when it is asked */
    struct verbs_endpoint peers[2];
    uint64_t now_ns;
    unsigned said; /* verbs_rail_silent, since it was last asked for */
    char line[LOG_LINE_MAX + 1];
};

static struct bench *bench;

/* In front of libibverbs's; a context of zeros makes its macro come here. */
#undef ibv_query_port
int ibv_query_port(struct ibv_context *context, uint8_t port, struct _compat_ibv_port_attr *attr)
{
    struct ibv_port_attr *wide = (struct ibv_port_attr *)(void *)attr;

    assert_int_equal(port, 1);
    wide->state = bench->ports[context - bench->devices] ? IBV_PORT_ACTIVE : IBV_PORT_DOWN;
    return 0;
}

static void remember(enum log_level level, const char *line, size_t line_bytes, void *context)
{
    struct bench *b = context;

    if (strstr(line, "event=verbs_rail_silent") != NULL) {
        assert_int_equal(level, LOG_LEVEL_WARN);
        b->said++;
        memcpy(b->line, line, line_bytes + 1);
    }
}

/* Two rails that are up, and one peer with two lanes by each. */
static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));

    bench = b;
    b->now_ns = 1000 * SECOND;
    b->verbs.rails_count = RAILS;
    for (uint32_t i = 0; i < RAILS; i++) {
        b->ports[i] = true;
        b->verbs.rails[i] = (struct verbs_rail){
            .verbs = &b->verbs, .index = i, .context = &b->devices[i], .port = 1, .up = true};
        snprintf(b->verbs.rails[i].name, sizeof(b->verbs.rails[i].name), "rxe%u:1", i);
    }
    for (size_t p = 0; p < 2; p++) {
        b->peers[p].lanes_count = RAILS * VERBS_LANES_PER_RAIL;
        for (uint32_t i = 0; i < b->peers[p].lanes_count; i++) {
            b->peers[p].lanes[i] = (struct verbs_lane){.endpoint = &b->peers[p],
                                                       .rail = &b->verbs.rails[i % RAILS],
                                                       .state = VERBS_LANE_UP};
        }
    }
    b->verbs.reads.endpoints = &b->peers[0].base;
    log_set_sink(remember, b);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    log_set_sink(NULL, NULL);
    free(*state);
    return 0;
}

static void set_lanes(struct verbs_endpoint *peer, uint32_t rail, enum verbs_lane_state lane_state)
{
    for (uint32_t i = 0; i < peer->lanes_count; i++) {
        if (peer->lanes[i].rail->index == rail) {
            peer->lanes[i].state = lane_state;
        }
    }
}

/* Looks as often as the transport does when nothing happens, and says how many lines came. */
static unsigned pass(struct bench *b, unsigned seconds)
{
    b->said = 0;
    for (unsigned i = 0; i < 2 * seconds; i++) {
        b->now_ns += SECOND / 2;
        verbs_rails_watch(&b->verbs, b->now_ns);
    }
    return b->said;
}

static unsigned connect_once(struct bench *b)
{
    b->said = 0;
    for (uint32_t i = 0; i < RAILS; i++) {
        verbs_rail_check(&b->verbs.rails[i]);
    }
    return b->said;
}

static void expect_up(const struct bench *b, uint32_t up)
{
    struct transport_rails rails = verbs_rails_state(&b->verbs.base);

    assert_int_equal(rails.total, RAILS);
    assert_int_equal(rails.up, up);
}

static void a_well_rail_is_not_spoken_of(void **state)
{
    struct bench *b = *state;

    assert_int_equal(connect_once(b), 0);
    assert_int_equal(pass(b, 60), 0);
    expect_up(b, 2);
}

static void a_rail_by_which_nothing_comes_up_is_said_once(void **state)
{
    struct bench *b = *state;

    for (int round = 0; round < 2; round++) {
        set_lanes(&b->peers[0], 1, VERBS_LANE_CONNECTING);
        assert_int_equal(pass(b, SILENCE_S - 1), 0); /* a connection may take that long */
        expect_up(b, 2);
        assert_int_equal(pass(b, 3), 1);
        assert_non_null(strstr(b->line, "rail=rxe1:1"));
        assert_non_null(strstr(b->line, "none of its connections to a peer comes up"));
        expect_up(b, 1);
        set_lanes(&b->peers[0], 1, VERBS_LANE_IDLE); /* between two tries */
        assert_int_equal(pass(b, 300), 0);
        assert_int_equal(connect_once(b), 0);
        expect_up(b, 1);
        set_lanes(&b->peers[0], 1, VERBS_LANE_UP); /* and back; the next round it goes again */
        assert_int_equal(pass(b, 2), 0);
        expect_up(b, 2);
    }
}

static void a_rail_that_is_down_at_connect_is_said_once(void **state)
{
    struct bench *b = *state;

    for (int round = 0; round < 2; round++) {
        b->ports[0] = false;
        set_lanes(&b->peers[0], 0, VERBS_LANE_IDLE);
        assert_int_equal(connect_once(b), 1);
        assert_non_null(strstr(b->line, "rail=rxe0:1"));
        assert_non_null(strstr(b->line, "its port is down while a peer is connected to"));
        expect_up(b, 1);
        assert_int_equal(connect_once(b), 0); /* the next peer */
        assert_int_equal(pass(b, 60), 0);
        expect_up(b, 1);
        b->ports[0] = true; /* no event says so; it is looked at */
        set_lanes(&b->peers[0], 0, VERBS_LANE_UP);
        assert_int_equal(pass(b, 2), 0);
        expect_up(b, 2);
    }
}

/* What happened in the guest of kernel 6.12: the port is up again and its connections are not. */
static void a_rail_that_comes_up_alone_is_said_again(void **state)
{
    struct bench *b = *state;

    b->ports[0] = false;
    set_lanes(&b->peers[0], 0, VERBS_LANE_IDLE);
    assert_int_equal(connect_once(b), 1);
    b->ports[0] = true;
    assert_int_equal(pass(b, 2), 0);
    expect_up(b, 2); /* as far as anybody knows yet */
    assert_int_equal(pass(b, SILENCE_S), 1);
    expect_up(b, 1);
}

/* A peer that no rail reaches says nothing of rails, and takes nothing back either. */
static void a_peer_that_is_gone_tells_nothing(void **state)
{
    struct bench *b = *state;

    set_lanes(&b->peers[0], 0, VERBS_LANE_IDLE);
    set_lanes(&b->peers[0], 1, VERBS_LANE_IDLE);
    assert_int_equal(pass(b, 60), 0);
    expect_up(b, 2);
    set_lanes(&b->peers[0], 0, VERBS_LANE_UP);
    assert_int_equal(pass(b, SILENCE_S + 2), 1);
    set_lanes(&b->peers[0], 0, VERBS_LANE_IDLE); /* the peer is started again */
    assert_int_equal(pass(b, 30), 0);
    expect_up(b, 1);
    set_lanes(&b->peers[0], 0, VERBS_LANE_UP);
    assert_int_equal(pass(b, 30), 0); /* still the same rail, which was said */
    b->verbs.reads.endpoints = NULL;
    assert_int_equal(pass(b, 30), 0);
    expect_up(b, 1);
}

/* Both ports are up, the peer lives by the word of others, and no connection comes up: the reads
 * that wait for it end and are asked for again. */
static void rails_that_reach_nobody_are_said_while_reads_wait(void **state)
{
    struct bench *b = *state;

    for (int round = 0; round < 2; round++) {
        set_lanes(&b->peers[0], 0, VERBS_LANE_CONNECTING);
        set_lanes(&b->peers[0], 1, VERBS_LANE_CONNECTING);
        unsigned said = 0;
        for (int read = 0; read < 20; read++) {
            b->peers[0].base.reads_in_flight = 1;
            said += pass(b, 5);
            assert_int_equal(said, read == 0 ? 0 : RAILS); /* each rail once */
            b->verbs.reads.endpoints = NULL; /* it has failed, and is made anew for the next */
            said += pass(b, 2);
            b->verbs.reads.endpoints = &b->peers[0].base;
        }
        assert_non_null(strstr(b->line, "no peer that is to be read is reached"));
        expect_up(b, 0);
        set_lanes(&b->peers[0], 0, VERBS_LANE_UP);
        set_lanes(&b->peers[0], 1, VERBS_LANE_UP);
        assert_int_equal(pass(b, 2), 0);
        expect_up(b, 2);
    }
}

/* As long as a node that has died is asked for, and no longer. */
static void a_dead_peer_says_nothing_of_rails(void **state)
{
    struct bench *b = *state;

    set_lanes(&b->peers[0], 0, VERBS_LANE_IDLE);
    set_lanes(&b->peers[0], 1, VERBS_LANE_IDLE);
    for (int dead = 0; dead < 5; dead++) {
        b->peers[0].base.reads_in_flight = 1;
        assert_int_equal(pass(b, 5), 0);
        b->peers[0].base.reads_in_flight = 0;
        assert_int_equal(pass(b, SILENCE_S + 1), 0);
    }
    expect_up(b, 2);
}

/* One peer's rail is broken; the others are reached by ours. */
static void one_peer_of_two_is_enough_to_say_so(void **state)
{
    struct bench *b = *state;

    b->peers[0].base.next = &b->peers[1].base;
    set_lanes(&b->peers[1], 1, VERBS_LANE_IDLE);
    assert_int_equal(pass(b, SILENCE_S + 2), 1);
    assert_int_equal(pass(b, 60), 0);
    expect_up(b, 1);
    b->peers[0].base.next = NULL; /* that peer leaves */
    assert_int_equal(pass(b, 2), 0);
    expect_up(b, 2);
}

/* One lane of a rail is enough to reach a peer by it. */
static void a_rail_with_one_lane_up_is_well(void **state)
{
    struct bench *b = *state;

    b->peers[0].lanes[1].state = VERBS_LANE_IDLE;
    assert_int_equal(pass(b, 60), 0);
    expect_up(b, 2);
}

static void a_device_that_is_gone_is_not_said_silent(void **state)
{
    struct bench *b = *state;

    b->verbs.rails[1].removed = true;
    b->verbs.rails[1].up = false;
    set_lanes(&b->peers[0], 1, VERBS_LANE_IDLE);
    assert_int_equal(connect_once(b), 0);
    assert_int_equal(pass(b, 60), 0);
    expect_up(b, 1);
}

/* What a request failed of is heard of later, by when the rail may have come back. */
static void a_rail_that_just_came_up_had_no_way_out(void **state)
{
    struct bench *b = *state;
    struct verbs_rail *rail = &b->verbs.rails[0];
    uint64_t now_ns = clock_now_ns();

    assert_true(verbs_rail_had_way_out(rail, now_ns)); /* it never was down */
    b->ports[0] = false;
    assert_false(verbs_rail_had_way_out(rail, now_ns));
    b->ports[0] = true;
    assert_false(verbs_rail_had_way_out(rail, clock_now_ns()));
    assert_false(verbs_rail_had_way_out(rail, clock_now_ns() + 9 * SECOND));
    assert_true(verbs_rail_had_way_out(rail, clock_now_ns() + 11 * SECOND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WATCH_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        WATCH_TEST(a_well_rail_is_not_spoken_of),
        WATCH_TEST(a_rail_by_which_nothing_comes_up_is_said_once),
        WATCH_TEST(a_rail_that_is_down_at_connect_is_said_once),
        WATCH_TEST(a_rail_that_comes_up_alone_is_said_again),
        WATCH_TEST(a_peer_that_is_gone_tells_nothing),
        WATCH_TEST(rails_that_reach_nobody_are_said_while_reads_wait),
        WATCH_TEST(a_dead_peer_says_nothing_of_rails),
        WATCH_TEST(one_peer_of_two_is_enough_to_say_so),
        WATCH_TEST(a_rail_with_one_lane_up_is_well),
        WATCH_TEST(a_device_that_is_gone_is_not_said_silent),
        WATCH_TEST(a_rail_that_just_came_up_had_no_way_out),
    };
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
