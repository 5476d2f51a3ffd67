/* SPDX-License-Identifier: Apache-2.0 */
/* An address in steps: bound, listened at, served; and what is in the way of it. */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "session/address.h"
#include "session/session.h"

static struct event_base *base;
static char path[64];
static char reason[CKPT_REASON_MAX + 1];

static void on_opened(struct session *session, void *context)
{
    (void)session;
    (void)context;
}

static void on_message(struct session *session, const struct message *message, void *context)
{
    (void)session;
    (void)message;
    (void)context;
}

static void on_closed(struct session *session, enum ckpt_status status, const char *why,
                      void *context)
{
    (void)session;
    (void)status;
    (void)why;
    (void)context;
}

static const struct session_events events = {
    .opened = on_opened, .message = on_message, .closed = on_closed};
static const struct session_door door = {.sessions_max = 0};

static int start(void **state)
{
    (void)state;
    base = event_base_new();
    return base ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    event_base_free(base);
    return 0;
}

static struct session_hub *open_hub(uint8_t number)
{
    struct session_hub *hub;
    struct session_hub_config config = {
        .sessions_max = 16,
        .receive_bytes_max = 8192,
        .output_bytes_max = 100000,
        .output_total_max = 150000,
        .linger_ms = 200,
    };
    config.incarnation.bytes[0] = number;
    assert_int_equal(session_hub_open(base, &config, &hub), CKPT_OK);
    return hub;
}

static bool connects(const char *address)
{
    struct address resolved;
    assert_int_equal(address_resolve(address, false, &resolved, reason), CKPT_OK);
    int fd = socket(resolved.socket.ss_family, SOCK_STREAM, 0);
    bool connected = connect(fd, (const struct sockaddr *)&resolved.socket, resolved.bytes) == 0;
    close(fd);
    return connected;
}

/* Bound, an address is taken and of no use to anybody; then one waits there; then one is served. */
static void an_address_is_taken_before_it_is_served(void **state)
{
    (void)state;
    char bound[CKPT_ADDRESS_MAX + 1];
    char lock[CKPT_ADDRESS_MAX + 1];
    struct session_hub *first = open_hub(4);
    struct session_hub *second = open_hub(5);
    snprintf(path, sizeof(path), "/tmp/ckpt_bind_%ld.sock", (long)getpid());
    snprintf(lock, sizeof(lock), "%s.lock", path);
    assert_int_equal(session_bind(first, path, 0600, &door, &events, NULL, NULL, reason), CKPT_OK);
    assert_false(connects(path));
    assert_int_equal(access(lock, F_OK), 0);
    assert_int_equal(session_bind(second, path, 0600, &door, &events, NULL, NULL, reason),
                     CKPT_ERR_BUSY);
    assert_int_equal(session_bind(first, "127.0.0.1:0", 0, &door, &events, NULL, bound, reason),
                     CKPT_OK);
    assert_false(connects(bound));
    assert_int_equal(session_hub_listen(first, reason), CKPT_OK);
    assert_true(connects(bound));
    assert_true(connects(path));
    assert_int_equal(session_bind(second, bound, 0, &door, &events, NULL, NULL, reason),
                     CKPT_ERR_BUSY);
    session_hub_read(first);
    assert_int_equal(session_hub_counters(first).accepted, 0);
    assert_int_equal(session_hub_serve(first, reason), CKPT_OK);
    session_hub_read(first);
    assert_int_equal(session_hub_counters(first).accepted, 2);
    session_hub_close(&first);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(lock, F_OK), -1);
    assert_int_equal(session_bind(second, path, 0600, &door, &events, NULL, NULL, reason), CKPT_OK);
    session_hub_close(&second);
}

static void the_directory_of_a_socket_is_made(void **state)
{
    (void)state;
    char folder[64];
    char deep[64];
    struct stat info;
    mode_t mask = umask(077);
    struct session_hub *hub = open_hub(4);
    snprintf(folder, sizeof(folder), "/tmp/ckpt_bind_%ld", (long)getpid());
    snprintf(path, sizeof(path), "%.40s/a.sock", folder);
    snprintf(deep, sizeof(deep), "%.40s.d/b/a.sock", folder);
    assert_int_equal(session_listen(hub, deep, 0600, &events, NULL, NULL, reason), CKPT_ERR_SYSTEM);
    assert_non_null(strstr(reason, "cannot be made"));
    assert_int_equal(session_listen(hub, path, 0600, &events, NULL, NULL, reason), CKPT_OK);
    assert_int_equal(stat(folder, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0755);
    session_hub_close(&hub);
    assert_int_equal(rmdir(folder), 0); /* empty again */
    umask(mask);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(an_address_is_taken_before_it_is_served),
        TEST(the_directory_of_a_socket_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
