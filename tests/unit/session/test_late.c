/* SPDX-License-Identifier: Apache-2.0 */
/* A loop that did not run for a while: what lay in its sockets counts as said in time. */
#include <arpa/inet.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "session/address.h"
#include "session/session.h"
#include "wire/message_codec.h"

#define IDLE_MS 50

static struct event_base *base;
static struct session_hub *hub;
static uint32_t opened;
static uint32_t messages;
static uint32_t closed;
static enum ckpt_status closed_status;
static bool pauses; /* after each message */
static char address[CKPT_ADDRESS_MAX + 1];
static char reason[CKPT_REASON_MAX + 1];

static void on_opened(struct session *session, void *context)
{
    (void)session;
    (void)context;
    opened++;
}

static void on_message(struct session *session, const struct message *message, void *context)
{
    (void)session;
    (void)message;
    (void)context;
    messages++;
    if (pauses) {
        session_hub_pause(hub);
    }
}

static void on_closed(struct session *session, enum ckpt_status status, const char *why,
                      void *context)
{
    (void)session;
    (void)why;
    (void)context;
    closed++;
    closed_status = status;
}

static const struct session_events events = {
    .opened = on_opened, .message = on_message, .closed = on_closed};

static int set_up(void **state)
{
    (void)state;
    struct session_hub_config config = {.incarnation = {{1}},
                                        .sessions_max = 8,
                                        .receive_bytes_max = 8192,
                                        .output_bytes_max = 100000,
                                        .output_total_max = 150000,
                                        .idle_ms = IDLE_MS,
                                        .linger_ms = 2000};
    opened = messages = closed = 0;
    pauses = false;
    base = event_base_new();
    assert_int_equal(session_hub_open(base, &config, &hub), CKPT_OK);
    assert_int_equal(session_listen(hub, "127.0.0.1:0", 0, &events, NULL, address, reason),
                     CKPT_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    session_hub_close(&hub);
    event_base_free(base);
    return 0;
}

static int connect_raw(void)
{
    struct address resolved;
    assert_int_equal(address_resolve(address, false, &resolved, reason), CKPT_OK);
    int fd = socket(resolved.socket.ss_family, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&resolved.socket, resolved.bytes), 0);
    return fd;
}

static void send_raw(int fd, uint8_t incarnation, uint64_t sequence)
{
    struct message message = {.type = MESSAGE_HEARTBEAT, .epoch = 1, .sequence = sequence};
    uint8_t frame[8192];
    size_t bytes;
    message.incarnation.bytes[0] = incarnation;
    assert_int_equal(message_encode(&message, frame, sizeof(frame), &bytes), CKPT_OK);
    assert_int_equal(send(fd, frame, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
}

/* Runs the loop until *count is at least `wanted`, for ten seconds at most. */
static void run_until(const uint32_t *count, uint32_t wanted)
{
    struct timeval limit = {.tv_sec = 10};
    for (int i = 0; i < 1000 && *count < wanted; i++) {
        event_base_loopexit(base, &limit);
        event_base_loop(base, EVLOOP_ONCE);
    }
    assert_int_equal(*count, wanted);
}

/* Somebody connects and speaks while the loop does not run. */
static void what_has_arrived_can_be_read_at_once(void **state)
{
    (void)state;
    int first = connect_raw();
    send_raw(first, 9, 1);
    session_hub_read(hub);
    assert_int_equal(opened, 1);
    assert_int_equal(messages, 1);
    send_raw(first, 9, 2);
    int second = connect_raw();
    send_raw(second, 8, 1);
    close(second);
    session_hub_read(hub);
    assert_int_equal(opened, 2);
    assert_int_equal(messages, 3);
    session_hub_read(hub);
    assert_int_equal(closed, 1);
    close(first);
    run_until(&closed, 2);
}

static void words_that_lie_unread_are_no_silence(void **state)
{
    (void)state;
    int fd = connect_raw();
    run_until(&opened, 1);
    send_raw(fd, 9, 1);
    usleep(4 * IDLE_MS * 1000);
    event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(messages, 1);
    assert_int_equal(closed, 0);
    run_until(&closed, 1);
    assert_int_equal(closed_status, CKPT_ERR_TIMEOUT);
    close(fd);
}

/* Everything that is ready now. */
static void run_ready(void)
{
    for (int i = 0; i < 20; i++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
}

/* One message at a time, whoever has more, and in the order in which they came. */
static void a_pause_holds_everything(void **state)
{
    (void)state;
    int first = connect_raw();
    run_until(&opened, 1);
    pauses = true;
    for (uint64_t i = 1; i <= 3; i++) {
        send_raw(first, 9, i);
    }
    run_until(&messages, 1);
    int second = connect_raw();
    send_raw(second, 8, 1);
    close(first);
    run_ready();
    usleep(2 * IDLE_MS * 1000);
    run_ready();
    session_hub_read(hub);
    assert_int_equal(opened, 1);
    assert_int_equal(messages, 1);
    assert_int_equal(closed, 0);
    session_hub_resume(hub);
    assert_int_equal(messages, 2);
    session_hub_resume(hub);
    assert_int_equal(messages, 3);
    pauses = false;
    session_hub_resume(hub);
    run_until(&messages, 4);
    assert_int_equal(opened, 2);
    run_until(&closed, 1);
    assert_int_equal(closed_status, CKPT_OK);
    close(second);
    run_until(&closed, 2);
}

/* What goes out in a pause may find the peer gone: its owner hears of it afterwards. */
static void who_ends_in_a_pause_is_told_of_afterwards(void **state)
{
    (void)state;
    struct message message = {.type = MESSAGE_LEASE, .epoch = 1};
    int fd = connect_raw();
    run_until(&opened, 1);
    struct session *session = session_find(hub, 1);
    session_hub_pause(hub);
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    for (int i = 0; i < 5; i++) {
        (void)session_send(session, &message, NULL, 0);
        run_ready();
    }
    assert_int_equal(closed, 0);
    assert_ptr_equal(session_find(hub, 1), session);
    session_hub_resume(hub);
    run_until(&closed, 1);
    assert_int_equal(closed_status, CKPT_ERR_LINK);
}

int main(void)
{
#define WITH_HUB(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_HUB(what_has_arrived_can_be_read_at_once),
        WITH_HUB(words_that_lie_unread_are_no_silence),
        WITH_HUB(a_pause_holds_everything),
        WITH_HUB(who_ends_in_a_pause_is_told_of_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
