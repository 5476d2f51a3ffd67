/* SPDX-License-Identifier: Apache-2.0 */
/* Who comes in, and who has to go: strangers, users that want everything, sockets whose process has
 * ended. */
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "session/address.h"
#include "session/session.h"
#include "wire/message_codec.h"

#define STRANGER_MS 200
#define SOME_USER 65534

static struct event_base *base;
static struct session_hub *hub;
static char path[64];
static uint32_t opened, messages, closed;
static struct session *last;
static bool says_who_it_is; /* at once: the next that comes */
static char closed_reason[CKPT_REASON_MAX + 1];

static void on_opened(struct session *session, void *context)
{
    (void)context;
    opened++;
    last = session;
    if (says_who_it_is) {
        session_vouch(session);
    }
}

static void on_message(struct session *session, const struct message *message, void *context)
{
    (void)session;
    (void)message;
    (void)context;
    messages++;
}

static void on_closed(struct session *session, enum ckpt_status status, const char *reason,
                      void *context)
{
    (void)session;
    (void)status;
    (void)context;
    closed++;
    snprintf(closed_reason, sizeof(closed_reason), "%s", reason);
}

static const struct session_events events = {
    .opened = on_opened, .message = on_message, .closed = on_closed};

static void listen_behind(const struct session_door *door)
{
    char reason[CKPT_REASON_MAX + 1];
    struct session_hub_config config = {
        .sessions_max = 16,
        .receive_bytes_max = 8192,
        .output_bytes_max = 100000,
        .output_total_max = 150000,
        .linger_ms = 200,
    };
    config.incarnation.bytes[0] = 1;
    opened = messages = closed = 0;
    base = event_base_new();
    snprintf(path, sizeof(path), "/tmp/ckpt_door_%ld.sock", (long)getpid());
    assert_int_equal(session_hub_open(base, &config, &hub), CKPT_OK);
    assert_int_equal(session_listen_behind(hub, path, 0666, door, &events, NULL, NULL, reason),
                     CKPT_OK);
}

static void stop(void)
{
    session_hub_close(&hub);
    event_base_free(base);
}

static int connect_here(void)
{
    struct address address;
    char reason[CKPT_REASON_MAX + 1];
    assert_int_equal(address_resolve(path, false, &address, reason), CKPT_OK);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address.socket, address.bytes), 0);
    return fd;
}

static void run_ms(uint32_t ms)
{
    struct timeval time = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    event_base_loopexit(base, &time);
    event_base_dispatch(base);
}

/* For twenty seconds at most. */
static void run_until(const uint32_t *count, uint32_t wanted)
{
    for (uint32_t i = 0; i < 1000 && *count < wanted; i++) {
        run_ms(20);
    }
    assert_true(*count >= wanted);
}

static void who_says_nothing_has_to_go(void **state)
{
    (void)state;
    const struct session_door door = {.stranger_ms = STRANGER_MS};
    listen_behind(&door);
    says_who_it_is = true;
    int known = connect_here();
    run_until(&opened, 1);
    says_who_it_is = false;
    int stranger = connect_here();
    run_until(&opened, 2);
    run_until(&closed, 1);
    run_ms(3 * STRANGER_MS);
    assert_int_equal(closed, 1);
    assert_int_equal(session_hub_counters(hub).sessions, 1);
    char byte;
    assert_int_equal(recv(stranger, &byte, 1, 0), 0);
    close(stranger);
    close(known);
    stop();
}

static void the_oldest_stranger_makes_room(void **state)
{
    (void)state;
    const struct session_door door = {.strangers_max = 2};
    listen_behind(&door);
    int fds[4];
    for (uint32_t i = 0; i < 4; i++) {
        fds[i] = connect_here();
        run_until(&opened, i + 1);
        if (i == 0) {
            session_vouch(last);
        }
    }
    run_until(&closed, 1);
    assert_int_equal(session_hub_counters(hub).sessions, 3);
    char byte;
    assert_int_equal(recv(fds[0], &byte, 1, MSG_DONTWAIT), -1); /* it is no stranger */
    assert_int_equal(recv(fds[1], &byte, 1, 0), 0);
    assert_int_equal(recv(fds[3], &byte, 1, MSG_DONTWAIT), -1);
    for (uint32_t i = 0; i < 4; i++) {
        close(fds[i]);
    }
    stop();
}

static void a_full_door_opens_for_no_stranger_less(void **state)
{
    (void)state;
    const struct session_door door = {.sessions_max = 2};
    listen_behind(&door);
    int fds[3];
    for (uint32_t i = 0; i < 2; i++) {
        fds[i] = connect_here();
        run_until(&opened, i + 1);
        session_vouch(last);
    }
    fds[2] = connect_here();
    run_ms(100);
    assert_int_equal(opened, 2);
    assert_int_equal(session_hub_counters(hub).refused, 1);
    for (uint32_t i = 0; i < 3; i++) {
        close(fds[i]);
    }
    stop();
}

/* Connects as another user and stays until the pipe closes. */
static pid_t greedy_user(uint32_t connections, const int *until)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0) {
        return child;
    }
    close(until[1]);
    bool is_other = setgid(SOME_USER) == 0 && setuid(SOME_USER) == 0;
    for (uint32_t i = 0; is_other && i < connections; i++) {
        (void)connect_here();
    }
    char byte;
    _exit(read(until[0], &byte, 1) == 0 && is_other ? 0 : 1);
}

static void a_user_has_his_share_and_root_a_place(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip(); /* nobody else can take another user's part */
    }
    const struct session_door door = {.sessions_max = 8, .a_user_max = 4, .kept = 2};
    listen_behind(&door);
    int until[2];
    assert_int_equal(pipe(until), 0);
    pid_t child = greedy_user(10, until);
    run_until(&opened, 4);
    run_ms(200);
    assert_int_equal(opened, 4);
    int fds[4];
    for (uint32_t i = 0; i < 4; i++) {
        fds[i] = connect_here();
        run_until(&opened, 5 + i);
    }
    close(until[0]);
    close(until[1]);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    for (uint32_t i = 0; i < 4; i++) {
        close(fds[i]);
    }
    stop();
}

/* What is queued for all has a bound: who reads is not cut for who does not. */
static void who_has_most_waiting_is_cut(void **state)
{
    (void)state;
    const struct session_door door = {.sessions_max = 0};
    struct message message = {.type = MESSAGE_HEARTBEAT};
    struct session *sessions[2];
    int fds[2];
    listen_behind(&door);
    for (uint32_t i = 0; i < 2; i++) {
        fds[i] = connect_here();
        run_until(&opened, i + 1);
        sessions[i] = last;
    }
    /* In one turn of the loop, which has written nothing yet. */
    while (session_hub_counters(hub).output_bytes < 80000) {
        assert_int_equal(session_send(sessions[0], &message, NULL, 0), CKPT_OK);
    }
    uint64_t most = session_hub_counters(hub).output_bytes;
    while (session_hub_counters(hub).output_bytes >= most) {
        assert_int_equal(session_send(sessions[1], &message, NULL, 0), CKPT_OK);
    }
    assert_int_equal(session_send(sessions[1], &message, NULL, 0), CKPT_OK);
    assert_int_equal(session_send(sessions[0], &message, NULL, 0), CKPT_ERR_LINK);
    run_until(&closed, 1);
    assert_string_equal(closed_reason, "the peer does not read");
    run_ms(50);
    assert_int_equal(closed, 1);
    close(fds[0]);
    close(fds[1]);
    stop();
}

static void say_something(int fd)
{
    uint8_t frame[8192];
    size_t bytes;
    struct message message = {.type = MESSAGE_HEARTBEAT, .sequence = 1};
    message.incarnation.bytes[0] = 9;
    if (message_encode(&message, frame, sizeof(frame), &bytes) != CKPT_OK ||
        send(fd, frame, bytes, MSG_NOSIGNAL) != (ssize_t)bytes) {
        _exit(1);
    }
}

/* A child of the one that connected keeps the socket: the session ends all the same, after the last
 * word that was said. */
static void a_session_ends_with_its_process(void **state)
{
    (void)state;
    const struct session_door door = {.sessions_max = 0};
    listen_behind(&door);
    int until[2];
    int vouched[2];
    assert_int_equal(pipe(until), 0);
    assert_int_equal(pipe(vouched), 0);
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        int fd = connect_here();
        if (fork() == 0) {
            char byte;
            close(until[1]);
            _exit(read(until[0], &byte, 1) == 0 ? 0 : 1);
        }
        say_something(fd);
        char byte;
        _exit(read(vouched[0], &byte, 1) == 1 ? 0 : 1);
    }
    run_until(&opened, 1);
    session_vouch(last);
    assert_int_equal(write(vouched[1], "v", 1), 1);
    run_until(&closed, 1);
    assert_int_equal(messages, 1);
    assert_string_equal(closed_reason, "its process has ended");
    close(until[0]);
    close(until[1]);
    close(vouched[0]);
    close(vouched[1]);
    int how;
    assert_int_equal(waitpid(process, &how, 0), process);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_says_nothing_has_to_go),
        cmocka_unit_test(the_oldest_stranger_makes_room),
        cmocka_unit_test(a_full_door_opens_for_no_stranger_less),
        cmocka_unit_test(a_user_has_his_share_and_root_a_place),
        cmocka_unit_test(who_has_most_waiting_is_cut),
        cmocka_unit_test(a_session_ends_with_its_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
