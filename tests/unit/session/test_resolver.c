/* SPDX-License-Identifier: Apache-2.0 */
/* Names are looked up beside the loop, by a resolver that takes its time. */
#include <dlfcn.h>
#include <event2/event.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "session/resolver.h"

#define SLOW_MS 300

static atomic_int looked_up;

/* What the room calls: a name "slow..." takes its time, "none..." is nobody's. */
__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **found)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    }
    atomic_fetch_add(&looked_up, 1);
    if (node && strncmp(node, "slow", 4) == 0) {
        usleep(SLOW_MS * 1000);
    }
    return strncmp(node, "none", 4) == 0 ? EAI_NONAME : real("127.0.0.1", service, hints, found);
}

struct asker {
    struct resolver_wait wait; /* first */
    int answers;
    enum ckpt_status status;
    char address[CKPT_ADDRESS_MAX + 1];
};

static struct event_base *base;
static struct resolver *resolver;

static void on_known(struct resolver_wait *wait, enum ckpt_status status,
                     const struct address *address, const char *reason)
{
    struct asker *asker = (struct asker *)wait;
    asker->answers++;
    asker->status = status;
    if (status == CKPT_OK) {
        address_text(address, asker->address);
    } else {
        assert_string_not_equal(reason, "");
    }
}

static int set_up(void **state)
{
    (void)state;
    base = event_base_new();
    looked_up = 0;
    return resolver_make(base, &resolver) == CKPT_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    resolver_free(&resolver);
    assert_null(resolver);
    event_base_free(base);
    return 0;
}

static enum ckpt_status ask(struct asker *asker, const char *text)
{
    struct address address;
    *asker = (struct asker){.wait = {.known = on_known}};
    enum ckpt_status status = resolver_ask(resolver, text, &asker->wait, &address);
    if (status == CKPT_OK) {
        address_text(&address, asker->address);
    }
    return status;
}

static void run_until_answered(const struct asker *asker)
{
    struct timeval limit = {.tv_sec = 10};
    for (int i = 0; i < 1000 && asker->answers == 0; i++) {
        event_base_loopexit(base, &limit);
        event_base_loop(base, EVLOOP_ONCE);
    }
    assert_int_equal(asker->answers, 1);
}

static void numbers_and_paths_ask_nobody(void **state)
{
    (void)state;
    struct asker asker;
    assert_int_equal(ask(&asker, "127.0.0.1:7471"), CKPT_OK);
    assert_string_equal(asker.address, "127.0.0.1:7471");
    assert_int_equal(ask(&asker, "[::1]:7471"), CKPT_OK);
    assert_int_equal(ask(&asker, "/run/x.sock"), CKPT_OK);
    assert_int_equal(looked_up, 0);
}

static void count_tick(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    ++*(int *)context;
}

static void the_loop_runs_meanwhile(void **state)
{
    (void)state;
    struct asker asker;
    int ticks = 0;
    struct timeval pause = {.tv_usec = 10000};
    struct event *timer = event_new(base, -1, EV_PERSIST, count_tick, &ticks);
    event_add(timer, &pause);
    assert_int_equal(ask(&asker, "slow1:7471"), CKPT_ERR_BUSY);
    run_until_answered(&asker);
    event_free(timer);
    assert_int_equal(asker.status, CKPT_OK);
    assert_string_equal(asker.address, "127.0.0.1:7471");
    assert_true(ticks > SLOW_MS / 10 / 4);
}

static void what_is_known_is_answered_at_once(void **state)
{
    (void)state;
    struct asker first;
    struct asker second;
    assert_int_equal(ask(&first, "slow2:1"), CKPT_ERR_BUSY);
    assert_int_equal(ask(&second, "slow2:1"), CKPT_ERR_BUSY);
    run_until_answered(&first);
    assert_int_equal(second.answers, 1);
    assert_int_equal(looked_up, 1);
    assert_int_equal(ask(&first, "slow2:1"), CKPT_OK);
    resolver_doubt(resolver, "slow2:1");
    assert_int_equal(ask(&first, "slow2:1"), CKPT_ERR_BUSY);
    run_until_answered(&first);
    assert_int_equal(looked_up, 2);
}

/* Somebody gave up: what was found meanwhile is there for his next ask. */
static void an_answer_that_comes_late_is_kept(void **state)
{
    (void)state;
    struct asker asker;
    struct asker other;
    assert_int_equal(ask(&asker, "slow3:1"), CKPT_ERR_BUSY);
    resolver_forget(&asker.wait);
    resolver_forget(&asker.wait);
    assert_int_equal(ask(&other, "slow4:1"), CKPT_ERR_BUSY);
    run_until_answered(&other);
    for (int i = 0; i < 100 && ask(&asker, "slow3:1") != CKPT_OK; i++) {
        resolver_forget(&asker.wait);
        event_base_loop(base, EVLOOP_NONBLOCK);
        usleep(10000);
    }
    assert_string_equal(asker.address, "127.0.0.1:1");
    assert_int_equal(asker.answers, 0);
}

static void nobody_is_not_found(void **state)
{
    (void)state;
    struct asker asker;
    assert_int_equal(ask(&asker, "none:1"), CKPT_ERR_BUSY);
    run_until_answered(&asker);
    assert_int_equal(asker.status, CKPT_ERR_NOT_FOUND);
    /* And is looked up again: it may be known by now. */
    assert_int_equal(ask(&asker, "none:1"), CKPT_ERR_BUSY);
    run_until_answered(&asker);
    assert_int_equal(looked_up, 2);
}

static void more_names_than_threads_all_come(void **state)
{
    (void)state;
    struct asker askers[3 * RESOLVER_THREADS];
    for (size_t i = 0; i < sizeof(askers) / sizeof(askers[0]); i++) {
        char text[32];
        snprintf(text, sizeof(text), "slow-many%zu:1", i);
        assert_int_equal(ask(&askers[i], text), CKPT_ERR_BUSY);
    }
    for (size_t i = 0; i < sizeof(askers) / sizeof(askers[0]); i++) {
        run_until_answered(&askers[i]);
    }
}

/* An end does not wait for the resolver. */
static void look_ups_may_outlive_their_owner(void **state)
{
    struct asker asker;
    struct timespec begin;
    struct timespec end;
    assert_int_equal(ask(&asker, "slow5:1"), CKPT_ERR_BUSY);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    tear_down(state);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000 <
                SLOW_MS);
    usleep(2 * SLOW_MS * 1000);
    assert_int_equal(asker.answers, 0);
    set_up(state);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH(numbers_and_paths_ask_nobody),
        WITH(the_loop_runs_meanwhile),
        WITH(what_is_known_is_answered_at_once),
        WITH(an_answer_that_comes_late_is_kept),
        WITH(nobody_is_not_found),
        WITH(more_names_than_threads_all_come),
        WITH(look_ups_may_outlive_their_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
