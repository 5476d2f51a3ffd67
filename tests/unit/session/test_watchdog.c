/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "session/watchdog.h"

static struct event_base *base;
static int manager;
static unsigned told;

/* A manager at an abstract name of this process's own. */
static int start(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    snprintf(name, sizeof(name), "@ckpt_watchdog_%ld", (long)getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    unsetenv("WATCHDOG_PID");
    unsetenv("WATCHDOG_USEC");
    size_t bytes = strlen(name);
    memcpy(address.sun_path, name, bytes);
    address.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(manager, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes)),
                     0);
    base = event_base_new();
    told = 0;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    event_base_free(base);
    close(manager);
    return 0;
}

static void hear(evutil_socket_t fd, short what, void *context)
{
    char text[64] = "";
    (void)what;
    (void)context;
    assert_int_equal(recv(fd, text, sizeof(text) - 1, 0), 10);
    assert_string_equal(text, "WATCHDOG=1");
    if (++told == 3) {
        event_base_loopbreak(base);
    }
}

static void a_turning_loop_is_told_of(void **state)
{
    (void)state;
    struct session_watchdog *watchdog = NULL;
    char pid[16];
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    setenv("WATCHDOG_USEC", "30000", 1);
    assert_int_equal(session_watchdog_start(base, &watchdog), CKPT_OK);
    assert_non_null(watchdog);
    struct event *heard = event_new(base, manager, EV_READ | EV_PERSIST, hear, NULL);
    event_add(heard, NULL);
    event_base_dispatch(base);
    assert_int_equal(told, 3);
    event_free(heard);
    session_watchdog_free(&watchdog);
    assert_null(watchdog);
    session_watchdog_free(&watchdog);
}

static void who_is_not_asked_says_nothing(void **state)
{
    (void)state;
    static const char *const values[][2] = {
        {NULL, NULL}, {"1", "30000"},   {"x", "30000"}, {NULL, "0"},
        {NULL, "-1"}, {NULL, "30000x"}, {NULL, ""},     {NULL, "99999999999999999999"}};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct session_watchdog *watchdog = (struct session_watchdog *)&base;
        unsetenv("WATCHDOG_PID");
        unsetenv("WATCHDOG_USEC");
        if (values[i][0] != NULL) {
            setenv("WATCHDOG_PID", values[i][0], 1);
        }
        if (values[i][1] != NULL) {
            setenv("WATCHDOG_USEC", values[i][1], 1);
        }
        assert_int_equal(session_watchdog_start(base, &watchdog), CKPT_OK);
        assert_null(watchdog);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_turning_loop_is_told_of, start, stop),
        cmocka_unit_test_setup_teardown(who_is_not_asked_says_nothing, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
