/* SPDX-License-Identifier: Apache-2.0 */
/* Two hubs that talk over real sockets, and raw sockets that do not behave. */
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "session/address.h"
#include "session/session.h"
#include "wire/message_codec.h"

/* What one end saw. */
struct end {
    uint32_t opened;
    uint32_t messages;
    uint32_t broken;
    uint32_t closed;
    enum message_type type; /* of the last message */
    uint32_t number;        /* of the last heartbeat */
    bool in_order;
    enum ckpt_status broken_status;
    enum ckpt_status closed_status;
    char closed_reason[CKPT_REASON_MAX + 1];
    struct session *session; /* the last opened */
};

static struct event_base *base;
static struct session_hub *server_hub;
static struct session_hub *client_hub;
static struct end server;
static struct end client;
static char tcp_address[CKPT_ADDRESS_MAX + 1];
static char path[64];
static char reason[CKPT_REASON_MAX + 1];

static struct message heartbeat(uint32_t number)
{
    struct message message = {.type = MESSAGE_HEARTBEAT, .epoch = 1};
    message.heartbeat.segments_free = number;
    return message;
}

static void on_opened(struct session *session, void *context)
{
    struct end *end = context;
    end->opened++;
    end->session = session;
}

static void on_message(struct session *session, const struct message *message, void *context)
{
    (void)session;
    struct end *end = context;
    end->messages++;
    end->type = message->type;
    if (message->type == MESSAGE_HEARTBEAT) {
        end->in_order = end->in_order && message->heartbeat.segments_free == end->number + 1;
        end->number = message->heartbeat.segments_free;
    }
}

static void on_broken(struct session *session, enum ckpt_status status, const char *why,
                      void *context)
{
    struct end *end = context;
    struct message message = {.type = MESSAGE_WELCOME};
    message.welcome.status = status;
    snprintf(message.welcome.reason, sizeof(message.welcome.reason), "%s", why);
    end->broken++;
    end->broken_status = status;
    assert_int_equal(session_send(session, &message, NULL, 0), CKPT_OK);
}

static void on_closed(struct session *session, enum ckpt_status status, const char *why,
                      void *context)
{
    struct end *end = context;
    assert_null(session_find(end == &server ? server_hub : client_hub, session_link(session)));
    end->closed++;
    end->closed_status = status;
    end->session = NULL;
    snprintf(end->closed_reason, sizeof(end->closed_reason), "%s", why);
}

static const struct session_events events = {
    .opened = on_opened, .message = on_message, .broken = on_broken, .closed = on_closed};

static struct session_hub *open_hub(uint8_t name, uint32_t idle_ms)
{
    struct session_hub_config config = {
        .sessions_max = 4,
        .receive_bytes_max = 8192,
        .output_bytes_max = 100000,
        .output_total_max = 150000,
        .idle_ms = idle_ms,
        .linger_ms = 2000,
    };
    config.incarnation.bytes[0] = name;
    struct session_hub *hub = NULL;
    assert_int_equal(session_hub_open(base, &config, &hub), CKPT_OK);
    return hub;
}

static int set_up_idle(uint32_t idle_ms)
{
    base = event_base_new();
    server = (struct end){.in_order = true};
    client = server;
    snprintf(path, sizeof(path), "/tmp/ckpt_session_%ld.sock", (long)getpid());
    server_hub = open_hub(1, idle_ms);
    client_hub = open_hub(2, 0);
    if (session_listen(server_hub, "127.0.0.1:0", 0, &events, &server, tcp_address, reason) !=
            CKPT_OK ||
        session_listen(server_hub, path, 0600, &events, &server, NULL, reason) != CKPT_OK) {
        fail_msg("%s", reason);
    }
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_idle(0);
}

static int tear_down(void **state)
{
    (void)state;
    session_hub_close(&client_hub);
    session_hub_close(&server_hub);
    session_hub_close(&server_hub);
    event_base_free(base);
    return access(path, F_OK) == 0 ? -1 : 0;
}

static void wake(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    *(bool *)context = true;
}

/* Runs the loop until *count is at least `wanted`, for ten seconds at most. */
static void run_until(const uint32_t *count, uint32_t wanted)
{
    bool late = false;
    struct timeval limit = {.tv_sec = 10};
    struct event *timer = evtimer_new(base, wake, &late);
    evtimer_add(timer, &limit);
    while (*count < wanted && !late) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    event_free(timer);
    if (late) {
        fail_msg("%u of %u came", *count, wanted);
    }
}

/* Everything that is ready now. */
static void run_ready(void)
{
    for (int i = 0; i < 20; i++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
}

static struct session *connect_to(const char *address)
{
    struct session *session = NULL;
    if (session_connect(client_hub, address, 5000, &events, &client, &session, reason) != CKPT_OK) {
        fail_msg("%s", reason);
    }
    return session;
}

static int connect_raw(const char *address)
{
    struct address resolved;
    assert_int_equal(address_resolve(address, false, &resolved, reason), CKPT_OK);
    int fd = socket(resolved.socket.ss_family, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&resolved.socket, resolved.bytes), 0);
    return fd;
}

/* A frame as `incarnation` would send it. */
static size_t make_frame(uint8_t incarnation, uint64_t sequence, uint32_t number, uint8_t *frame)
{
    struct message message = heartbeat(number);
    size_t bytes;
    message.incarnation.bytes[0] = incarnation;
    message.sequence = sequence;
    assert_int_equal(message_encode(&message, frame, 8192, &bytes), CKPT_OK);
    return bytes;
}

static void send_raw(int fd, uint8_t incarnation, uint64_t sequence, uint32_t number)
{
    uint8_t frame[8192];
    size_t bytes = make_frame(incarnation, sequence, number, frame);
    assert_int_equal(send(fd, frame, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
}

static void expect_both_ways(const char *address)
{
    struct session *session = connect_to(address);
    struct message message = heartbeat(1);
    /* Before it is open. */
    assert_int_equal(session_send(session, &message, NULL, 0), CKPT_OK);
    run_until(&server.messages, 1);
    assert_int_equal(server.opened, 1);
    assert_int_equal(client.opened, 1);
    for (uint32_t i = 2; i <= 100; i++) {
        message = heartbeat(i);
        assert_int_equal(session_send(session, &message, NULL, 0), CKPT_OK);
        message = heartbeat(i - 1);
        assert_int_equal(session_send(server.session, &message, NULL, 0), CKPT_OK);
    }
    run_until(&server.messages, 100);
    run_until(&client.messages, 99);
    assert_true(server.in_order);
    assert_true(client.in_order);
    assert_ptr_equal(session_find(client_hub, session_link(session)), session);
    session_close(session);
    assert_int_equal(client.closed, 0);
    run_until(&client.closed, 1);
    run_until(&server.closed, 1);
    assert_int_equal(server.closed_status, CKPT_OK);
    assert_int_equal(client.closed_status, CKPT_OK);
    assert_int_equal(session_hub_counters(server_hub).sessions, 0);
}

static void messages_pass_over_tcp(void **state)
{
    (void)state;
    expect_both_ways(tcp_address);
    assert_int_equal(server.messages, 100);
}

static void messages_pass_over_unix(void **state)
{
    (void)state;
    expect_both_ways(path);
}

static void a_local_peer_has_credentials(void **state)
{
    (void)state;
    connect_to(path);
    run_until(&server.opened, 1);
    assert_true(session_is_local(server.session));
    assert_int_equal(session_uid(server.session), getuid());
    char pid[32];
    snprintf(pid, sizeof(pid), "pid=%ld", (long)getpid());
    assert_non_null(strstr(session_peer(server.session), pid));
    connect_to(tcp_address);
    run_until(&server.opened, 2);
    assert_false(session_is_local(server.session));
    assert_int_equal(session_uid(server.session), UINT32_MAX);
    assert_non_null(strstr(session_peer(server.session), "127.0.0.1:"));
}

static void what_is_queued_is_written_before_a_close(void **state)
{
    (void)state;
    connect_to(tcp_address);
    run_until(&server.opened, 1);
    for (uint32_t i = 1; i <= 500; i++) {
        struct message message = heartbeat(i);
        assert_int_equal(session_send(server.session, &message, NULL, 0), CKPT_OK);
    }
    session_close(server.session);
    struct message late = heartbeat(501);
    assert_int_equal(session_send(server.session, &late, NULL, 0), CKPT_ERR_LINK);
    run_until(&client.closed, 1);
    assert_int_equal(client.number, 500);
    assert_true(client.in_order);
}

static void old_frames_are_dropped(void **state)
{
    (void)state;
    int fd = connect_raw(tcp_address);
    send_raw(fd, 9, 10, 1);
    send_raw(fd, 9, 10, 2);
    send_raw(fd, 9, 9, 3);
    send_raw(fd, 9, 11, 4);
    run_until(&server.messages, 2);
    assert_int_equal(server.number, 4);
    /* On another connection of the same incarnation, too. */
    int second = connect_raw(tcp_address);
    send_raw(second, 9, 11, 5);
    send_raw(second, 9, 12, 6);
    run_until(&server.messages, 3);
    assert_int_equal(server.number, 6);
    assert_int_equal(session_hub_counters(server_hub).frames_old, 3);
    close(fd);
    close(second);
}

static void two_incarnations_on_one_connection_end_it(void **state)
{
    (void)state;
    int fd = connect_raw(tcp_address);
    send_raw(fd, 9, 1, 1);
    send_raw(fd, 8, 2, 2);
    run_until(&server.broken, 1);
    assert_int_equal(server.messages, 1);
    assert_int_equal(server.broken_status, CKPT_ERR_PROTOCOL);
    close(fd);
    run_until(&server.closed, 1);
    fd = connect_raw(tcp_address);
    send_raw(fd, 0, 1, 1);
    run_until(&server.broken, 2);
    assert_int_equal(server.messages, 1);
    close(fd);
}

/* Sends bytes, and expects the answer WELCOME with status, then the end of the stream. */
static void expect_refused(const void *bytes, size_t count, enum ckpt_status status)
{
    uint8_t answer[8192];
    size_t got = 0;
    int fd = connect_raw(tcp_address);
    uint32_t before = server.closed;
    assert_int_equal(send(fd, bytes, count, MSG_NOSIGNAL), (ssize_t)count);
    run_until(&server.broken, before + 1);
    run_ready();
    for (ssize_t some; (some = recv(fd, answer + got, sizeof(answer) - got, 0)) > 0;) {
        got += (size_t)some;
    }
    close(fd);
    run_until(&server.closed, before + 1);
    assert_int_equal(server.closed_status, status);
    uint8_t memory[MESSAGE_SCRATCH_BYTES(8192)];
    struct message_scratch scratch;
    struct message message;
    message_scratch_init(&scratch, memory, sizeof(memory));
    assert_int_equal(message_decode(answer, got, &scratch, &message), CKPT_OK);
    assert_int_equal(message.type, MESSAGE_WELCOME);
    assert_int_equal(message.welcome.status, status);
    assert_string_not_equal(message.welcome.reason, "");
}

static void bytes_that_are_no_frames_are_refused(void **state)
{
    (void)state;
    uint8_t frame[8192];
    size_t bytes = make_frame(9, 1, 1, frame);
    expect_refused("GET / HTTP/1.1\r\n\r\n", 18, CKPT_ERR_PROTOCOL);

    store_le16(frame + 4, WIRE_PROTOCOL_VERSION + 1);
    expect_refused(frame, bytes, CKPT_ERR_VERSION);

    bytes = make_frame(9, 1, 1, frame);
    frame[bytes - 1] ^= 1;
    expect_refused(frame, bytes, CKPT_ERR_CORRUPT);

    make_frame(9, 1, 1, frame);
    store_le32(frame + 8, 8192);
    expect_refused(frame, FRAME_HEADER_BYTES, CKPT_ERR_TOO_LARGE);
    assert_int_equal(server.messages, 0);
    assert_int_equal(session_hub_counters(server_hub).broken, 4);
}

static void a_frame_may_come_byte_by_byte(void **state)
{
    (void)state;
    uint8_t frame[8192];
    size_t bytes = make_frame(9, 1, 77, frame);
    int fd = connect_raw(tcp_address);
    for (size_t i = 0; i < bytes; i++) {
        assert_int_equal(send(fd, frame + i, 1, 0), 1);
        run_ready();
    }
    run_until(&server.messages, 1);
    assert_int_equal(server.number, 77);
    close(fd);
    run_until(&server.closed, 1);
}

static void a_peer_that_does_not_read_is_cut(void **state)
{
    (void)state;
    int fd = connect_raw(tcp_address);
    run_until(&server.opened, 1);
    struct message message = heartbeat(1);
    uint64_t sent = 0;
    /* The kernel's buffers take some megabytes first. */
    while (server.closed == 0 && sent < 10000000) {
        if (session_send(server.session, &message, NULL, 0) != CKPT_OK) {
            run_ready();
            break;
        }
        if (++sent % 1000 == 0) {
            run_ready();
        }
    }
    assert_int_equal(server.closed, 1);
    assert_int_equal(server.closed_status, CKPT_ERR_LINK);
    assert_string_equal(server.closed_reason, "the peer does not read");
    assert_int_equal(session_hub_counters(server_hub).unread, 1);
    assert_int_equal(session_hub_counters(server_hub).output_bytes, 0);
    close(fd);
}

static void more_sessions_than_allowed_are_refused(void **state)
{
    (void)state;
    int fds[6];
    for (int i = 0; i < 6; i++) {
        fds[i] = connect_raw(tcp_address);
    }
    run_until(&server.opened, 4);
    run_ready();
    assert_int_equal(server.opened, 4);
    assert_int_equal(session_hub_counters(server_hub).refused, 2);
    for (int i = 0; i < 6; i++) {
        close(fds[i]);
    }
    run_until(&server.closed, 4);
    int fd = connect_raw(tcp_address);
    run_until(&server.opened, 5);
    close(fd);
}

static void a_silent_session_ends(void **state)
{
    (void)state;
    tear_down(NULL);
    set_up_idle(50);
    int fd = connect_raw(tcp_address);
    run_until(&server.closed, 1);
    assert_int_equal(server.closed_status, CKPT_ERR_TIMEOUT);
    close(fd);
}

static void nobody_there_is_an_end_too(void **state)
{
    (void)state;
    session_hub_stop_listening(server_hub);
    connect_to(tcp_address);
    run_until(&client.closed, 1);
    assert_int_equal(client.opened, 0);
    assert_int_equal(client.closed_status, CKPT_ERR_LINK);
    connect_to(path);
    run_until(&client.closed, 2);
    struct session *session = connect_to(path);
    session_close(session);
    run_until(&client.closed, 3);
}

static void a_group_gets_one_message_each(void **state)
{
    (void)state;
    uint8_t frame[8192];
    int fds[4];
    for (uint32_t i = 0; i < 4; i++) {
        fds[i] = connect_raw(i == 1 ? path : tcp_address);
        run_until(&server.opened, 1 + i);
        session_set_group(server.session, i == 0 ? 0 : 7);
        assert_int_equal(session_group(server.session), i == 0 ? 0 : 7);
    }
    struct message message = heartbeat(1);
    size_t bytes = make_frame(9, 1, 1, frame);
    assert_int_equal(session_send_group(server_hub, 7, &message), CKPT_OK);
    run_ready();
    assert_int_equal(recv(fds[0], frame, sizeof(frame), MSG_DONTWAIT), -1);
    for (uint32_t i = 1; i < 4; i++) {
        /* The epoch is in the header, so all heartbeats of one number have one length. */
        assert_int_equal(recv(fds[i], frame, sizeof(frame), MSG_DONTWAIT), (ssize_t)bytes);
    }
    for (uint32_t i = 0; i < 4; i++) {
        close(fds[i]);
    }
    assert_int_equal(session_hub_counters(server_hub).frames_sent, 3);
}

static void a_socket_in_use_is_not_taken(void **state)
{
    (void)state;
    struct session_hub *other = open_hub(3, 0);
    assert_int_equal(session_listen(other, path, 0600, &events, &client, NULL, reason),
                     CKPT_ERR_BUSY);
    assert_int_equal(session_listen(other, tcp_address, 0, &events, &client, NULL, reason),
                     CKPT_ERR_BUSY);
    assert_int_equal(access(path, F_OK), 0);
    session_hub_close(&other);
    assert_int_equal(access(path, F_OK), 0);
}

static void a_socket_left_over_is_replaced(void **state)
{
    (void)state;
    session_hub_stop_listening(server_hub);
    struct address address;
    assert_int_equal(address_resolve(path, true, &address, reason), CKPT_OK);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address.socket, address.bytes), 0);
    close(fd);
    assert_int_equal(session_listen(server_hub, path, 0640, &events, &server, NULL, reason),
                     CKPT_OK);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    session_hub_stop_listening(server_hub);
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(session_listen(server_hub, path, 0600, &events, &server, NULL, reason),
                     CKPT_ERR_SYSTEM);
    close(file);
    unlink(path);
}

/* Receives what is there into bytes and descriptors. */
static size_t receive(int fd, uint8_t *bytes, size_t room, int *descriptors, uint32_t *count)
{
    size_t got = 0;
    for (;;) {
        union {
            struct cmsghdr header;
            char room[CMSG_SPACE(253 * sizeof(int))];
        } control;
        struct iovec part = {.iov_base = bytes + got, .iov_len = room - got};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};
        ssize_t some = recvmsg(fd, &message, MSG_DONTWAIT);
        if (some <= 0) {
            return got;
        }
        assert_false(message.msg_flags & MSG_CTRUNC);
        got += (size_t)some;
        for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head;
             head = CMSG_NXTHDR(&message, head)) {
            uint32_t these = (uint32_t)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(descriptors + *count, CMSG_DATA(head), these * sizeof(int));
            *count += these;
        }
    }
}

static uint32_t open_descriptors(void)
{
    uint32_t count = 0;
    for (int fd = 0; fd < 4096; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

#define MANY 600

static void descriptors_ride_along(void **state)
{
    (void)state;
    static int sent[MANY];
    static int got[MANY + 1];
    uint8_t bytes[8192];
    uint32_t count = 0;
    int fd = connect_raw(path);
    run_until(&server.opened, 1);
    uint32_t before = open_descriptors();
    struct message message = heartbeat(1);
    assert_int_equal(session_send(server.session, &message, NULL, 0), CKPT_OK);
    for (int i = 0; i < MANY; i++) {
        sent[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    assert_int_equal(session_send(server.session, &message, sent, MANY), CKPT_OK);
    int single = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(session_send(server.session, &message, &single, 1), CKPT_OK);
    run_ready();
    assert_int_equal(open_descriptors(), before);
    size_t received = receive(fd, bytes, sizeof(bytes), got, &count);
    assert_int_equal(count, MANY + 1);
    assert_int_equal(received % 3, 0);
    for (uint32_t i = 0; i < count; i++) {
        close(got[i]);
    }
    /* Queued, and then the peer goes: they are closed. */
    single = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    assert_int_equal(session_send(server.session, &message, &single, 1), CKPT_OK);
    run_until(&server.closed, 1);
    run_ready();
    assert_int_equal(open_descriptors(), before - 3); /* both ends, and the pidfd of the peer */
}

static void descriptors_do_not_go_to_tcp(void **state)
{
    (void)state;
    connect_to(tcp_address);
    run_until(&server.opened, 1);
    uint32_t before = open_descriptors();
    struct message message = heartbeat(1);
    int single = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(session_send(server.session, &message, &single, 1), CKPT_ERR_INVALID);
    assert_int_equal(open_descriptors(), before);
}

static void send_with(int fd, uint8_t *bytes, size_t count, const int passed[2])
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control = {.header = {CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), passed, 2 * sizeof(int));
    struct iovec part = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {NULL, 0, &part, 1, &control, sizeof(control), 0};
    assert_int_equal(sendmsg(fd, &message, 0), (ssize_t)count);
}

/* Of those that a peer passes: until it is taken, the next comes, or the session ends. */
static void the_last_descriptor_is_kept(void **state)
{
    (void)state;
    uint8_t frame[8192];
    struct stat of_taken, of_last;
    int fd = connect_raw(path);
    run_until(&server.opened, 1);
    int files[] = {memfd_create("first", MFD_CLOEXEC), memfd_create("last", MFD_CLOEXEC)};
    uint32_t before = open_descriptors();
    assert_int_equal(session_take_descriptor(server.session), -1);
    for (uint8_t i = 1; i <= 2; i++) {
        send_with(fd, frame, make_frame(9, i, 5, frame), files);
        run_until(&server.messages, i);
        assert_int_equal(open_descriptors(), before + 1);
    }
    int taken = session_take_descriptor(server.session);
    assert_int_equal(fstat(taken, &of_taken) | fstat(files[1], &of_last), 0);
    assert_int_equal(of_taken.st_ino, of_last.st_ino);
    assert_int_not_equal(fcntl(taken, F_GETFD) & FD_CLOEXEC, 0);
    assert_int_equal(session_take_descriptor(server.session), -1);
    send_with(fd, frame, make_frame(9, 3, 5, frame), files);
    run_until(&server.messages, 3);
    close(taken);
    close(fd);
    run_until(&server.closed, 1);
    run_ready();
    assert_int_equal(open_descriptors(), before - 3); /* both ends, and the pidfd of the peer */
    close(files[0]);
    close(files[1]);
}

static void a_bad_config_is_refused(void **state)
{
    (void)state;
    struct session_hub *hub = NULL;
    struct session_hub_config config = {
        .sessions_max = 1,
        .receive_bytes_max = 8192,
        .output_bytes_max = 1,
        .output_total_max = 1,
        .linger_ms = 1,
    };
    assert_int_equal(session_hub_open(base, &config, &hub), CKPT_ERR_INVALID);
    config.incarnation.bytes[3] = 1;
    config.receive_bytes_max = FRAME_BYTES_MAX + 1;
    assert_int_equal(session_hub_open(base, &config, &hub), CKPT_ERR_INVALID);
    assert_null(hub);
}

int main(void)
{
#define WITH_HUBS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_HUBS(messages_pass_over_tcp),
        WITH_HUBS(messages_pass_over_unix),
        WITH_HUBS(a_local_peer_has_credentials),
        WITH_HUBS(what_is_queued_is_written_before_a_close),
        WITH_HUBS(old_frames_are_dropped),
        WITH_HUBS(two_incarnations_on_one_connection_end_it),
        WITH_HUBS(bytes_that_are_no_frames_are_refused),
        WITH_HUBS(a_frame_may_come_byte_by_byte),
        WITH_HUBS(a_peer_that_does_not_read_is_cut),
        WITH_HUBS(more_sessions_than_allowed_are_refused),
        WITH_HUBS(a_silent_session_ends),
        WITH_HUBS(nobody_there_is_an_end_too),
        WITH_HUBS(a_group_gets_one_message_each),
        WITH_HUBS(a_socket_in_use_is_not_taken),
        WITH_HUBS(a_socket_left_over_is_replaced),
        WITH_HUBS(descriptors_ride_along),
        WITH_HUBS(descriptors_do_not_go_to_tcp),
        WITH_HUBS(the_last_descriptor_is_kept),
        WITH_HUBS(a_bad_config_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
