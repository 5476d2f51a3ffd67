/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions over a channel that is not the socket itself: it masks each byte, so that one which went
 * past it would be no frame, moves few at a time, and is often not ready. */
#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "session/channel.h"

#define MASK 0x5a
#define MESSAGES 50

struct end {
    struct session *session;
    uint32_t messages;
    uint32_t closed;
    enum ckpt_status closed_status;
};

static uint32_t writes, wants, closes;

static ssize_t masked_read(struct session *session, void *space, size_t room)
{
    uint8_t *bytes = space;
    ssize_t got = recv(session->fd, bytes, room < 7 ? room : 7, 0);
    for (ssize_t i = 0; i < got; i++) {
        bytes[i] ^= MASK;
    }
    return got;
}

static ssize_t masked_write(struct session *session)
{
    uint8_t bytes[11];
    if (++writes % 2 == 0) {
        errno = EAGAIN;
        return -1;
    }
    ev_ssize_t count = evbuffer_copyout(session->output, bytes, sizeof(bytes));
    for (ev_ssize_t i = 0; i < count; i++) {
        bytes[i] ^= MASK;
    }
    return send(session->fd, bytes, (size_t)count, MSG_NOSIGNAL);
}

static short masked_want(const struct session *session)
{
    wants++;
    return session_channel_plain.want(session);
}

static void masked_close(struct session *session)
{
    closes++;
    session_channel_plain.close(session);
}

static const struct session_channel masked = {.name = "masked",
                                              .read = masked_read,
                                              .write = masked_write,
                                              .want = masked_want,
                                              .close = masked_close};

static void on_opened(struct session *session, void *context)
{
    struct end *end = context;
    session->channel = &masked;
    end->session = session;
}

static void on_message(struct session *session, const struct message *message, void *context)
{
    struct end *end = context;
    (void)session;
    assert_int_equal(message->type, MESSAGE_HEARTBEAT);
    assert_int_equal(message->heartbeat.segments_free, end->messages);
    end->messages++;
}

static void on_closed(struct session *session, enum ckpt_status status, const char *why,
                      void *context)
{
    struct end *end = context;
    (void)session;
    (void)why;
    end->closed++;
    end->closed_status = status;
}

static const struct session_events events = {
    .opened = on_opened, .message = on_message, .closed = on_closed};

static struct session_hub *open_hub(struct event_base *base, uint8_t name)
{
    struct session_hub_config config = {.sessions_max = 2,
                                        .receive_bytes_max = 8192,
                                        .output_bytes_max = 100000,
                                        .output_total_max = 100000,
                                        .linger_ms = 5000};
    struct session_hub *hub = NULL;
    config.incarnation.bytes[0] = name;
    assert_int_equal(session_hub_open(base, &config, &hub), CKPT_OK);
    return hub;
}

/* Turns the loop until both have come to what is wanted, or for ten seconds. */
static void run_until(struct event_base *base, const uint32_t *count, uint32_t wanted)
{
    const struct timeval limit = {.tv_sec = 10};
    event_base_loopexit(base, &limit);
    while (*count < wanted && !event_base_got_exit(base)) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    assert_int_equal(*count, wanted);
}

static void every_byte_goes_by_the_channel(void **state)
{
    char path[64], reason[CKPT_REASON_MAX + 1];
    struct end server = {0}, client = {0};
    struct event_base *base = event_base_new();
    struct session_hub *server_hub = open_hub(base, 1);
    struct session_hub *client_hub = open_hub(base, 2);

    (void)state;
    snprintf(path, sizeof(path), "/tmp/ckpt_channel_%ld.sock", (long)getpid());
    assert_int_equal(session_listen(server_hub, path, 0600, &events, &server, NULL, reason),
                     CKPT_OK);
    assert_int_equal(
        session_connect(client_hub, path, 5000, &events, &client, &client.session, reason),
        CKPT_OK);
    while (client.session->channel != &masked) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    for (uint32_t i = 0; i < MESSAGES; i++) {
        struct message message = {.type = MESSAGE_HEARTBEAT, .epoch = 1};
        message.heartbeat.segments_free = i;
        assert_int_equal(session_send(client.session, &message, NULL, 0), CKPT_OK);
    }
    run_until(base, &server.messages, MESSAGES);
    assert_true(writes > MESSAGES);
    assert_true(wants >= writes / 2 - 1); /* it was asked each time that it was not ready */

    session_close(client.session);
    run_until(base, &server.closed, 1);
    run_until(base, &client.closed, 1);
    assert_int_equal(server.closed_status, CKPT_OK);
    assert_int_equal(closes, 2);
    session_hub_close(&client_hub);
    session_hub_close(&server_hub);
    event_base_free(base);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_goes_by_the_channel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
