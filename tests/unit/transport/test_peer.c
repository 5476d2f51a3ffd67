/* SPDX-License-Identifier: Apache-2.0 */
/* A source in another process that is killed, stopped and continued while it is read. The child is
 * executed anew, so it opens its transport in a process that has none. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "transport/transport.h"
#include "unit/transport/suite.h"

#define REGION_BYTES (128 * CKPT_MIB)
#define READS 32
#define TIMEOUT_MS 1000
#define PATIENCE_S 20 /* far above the deadline: a hang fails, a slow machine does not */

struct card {
    uint8_t address[CKPT_WORKER_ADDRESS_MAX], descriptor[CKPT_DESCRIPTOR_MAX];
    size_t address_bytes, descriptor_bytes;
};

struct world {
    pid_t peer;
    int socket; /* to the peer; it ends when this closes, or by its own death */
    struct transport *reader;
    struct transport_region *region;
    struct transport_endpoint *endpoint;
    struct card card;
    uint8_t *memory;
    unsigned seen[READS], ended, disconnected;
    enum ckpt_status status[READS];
};

static uint32_t timeout_ms = TIMEOUT_MS;

static uint8_t *map(int fill)
{
    uint8_t *memory =
        mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        abort();
    }
    memset(memory, fill, REGION_BYTES);
    return memory;
}

static struct transport *open_one(struct transport_region **region_out, int fill)
{
    struct transport_options options = {
        .timeout_ms = timeout_ms, .in_flight_max = READS, .devices = suite_devices()};
    struct transport_memory memory = {.address = map(fill), .bytes = REGION_BYTES, .generation = 1};
    struct transport *t;

    if (transport_open(SUITE_SPEC, &options, &t) != CKPT_OK ||
        transport_register(t, &memory, region_out) != CKPT_OK) {
        fprintf(stderr, "%s\n", transport_open_error());
        abort();
    }
    return t;
}

/* The child: serves until its socket (descriptor 3) closes. A byte 'd' there deregisters the
 * region. */
static int serve(void)
{
    struct transport_region *region;
    struct transport *t;
    struct transport_completion done;
    struct card card;
    char byte;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    t = open_one(&region, 0x5a);
    struct pollfd fds[2] = {{.fd = transport_event_fd(t), .events = POLLIN},
                            {.fd = 3, .events = POLLIN}};
    transport_export(region, card.descriptor, &card.descriptor_bytes);
    transport_address(t, card.address, &card.address_bytes);
    if (write(3, &card, sizeof(card)) != (ssize_t)sizeof(card)) {
        return 1;
    }
    for (;;) {
        bool idle = transport_progress(t, &done, 1) == 0 && transport_arm(t);
        poll(fds, 2, idle ? -1 : 0);
        if (fds[1].revents != 0) {
            if (read(3, &byte, 1) != 1) {
                break;
            }
            uint8_t *memory = region->address;
            if (transport_deregister(region) != CKPT_OK || write(3, "", 1) != 1) {
                return 1;
            }
            munmap(memory, REGION_BYTES);
        }
    }
    transport_close(t, NULL, NULL);
    return 0;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    w->peer = fork();
    assert_true(w->peer >= 0);
    if (w->peer == 0) {
        if (dup2(pair[1], 3) == 3 && (pair[0] == 3 || close(pair[0]) == 0)) {
            execl("/proc/self/exe", "test_peer", "serve", (char *)NULL);
        }
        _exit(127);
    }
    close(pair[1]);
    w->socket = pair[0];
    assert_int_equal(read(w->socket, &w->card, sizeof(w->card)), sizeof(w->card));
    w->reader = open_one(&w->region, 0);
    w->memory = w->region->address;
    assert_int_equal(
        transport_connect(w->reader, w->card.address, w->card.address_bytes, 0, &w->endpoint),
        CKPT_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    transport_close(w->reader, NULL, NULL);
    close(w->socket);
    kill(w->peer, SIGKILL);
    waitpid(w->peer, NULL, 0);
    munmap(w->memory, REGION_BYTES);
    free(w);
    return 0;
}

static void turn(struct world *w)
{
    struct transport_completion done[4];
    struct pollfd waiter = {.fd = transport_event_fd(w->reader), .events = POLLIN};
    size_t count = transport_progress(w->reader, done, 4);

    for (size_t i = 0; i < count; i++) {
        if (done[i].kind == TRANSPORT_DISCONNECTED) {
            w->disconnected++;
        } else {
            w->ended++;
            w->seen[done[i].cookie]++;
            w->status[done[i].cookie] = done[i].status;
        }
    }
    /* The longest sleep is the event_fd's own business: nothing else wakes this loop for its
     * deadlines. */
    if (count == 0 && transport_arm(w->reader)) {
        poll(&waiter, 1, PATIENCE_S * 1000);
    }
}

static void wait_for(struct world *w, const unsigned *counter, unsigned value)
{
    time_t end = time(NULL) + PATIENCE_S;

    while (*counter < value) {
        assert_true(time(NULL) < end);
        turn(w);
    }
}

static enum ckpt_status start(struct world *w, uint64_t index)
{
    struct transport_read_request request = {.endpoint = w->endpoint,
                                             .descriptor = w->card.descriptor,
                                             .descriptor_bytes = w->card.descriptor_bytes,
                                             .remote_offset = index * (REGION_BYTES / READS),
                                             .local = w->region,
                                             .local_offset = index * (REGION_BYTES / READS),
                                             .bytes = REGION_BYTES / READS,
                                             .cookie = index};
    return transport_read(&request);
}

static void start_all(struct world *w)
{
    for (uint64_t i = 0; i < READS; i++) {
        assert_int_equal(start(w, i), CKPT_OK);
    }
}

/* Reads until some are done and most are not. */
static void get_going(struct world *w)
{
    start_all(w);
    wait_for(w, &w->ended, 2);
}

/* Each read ended once; those that ended well have their bytes; some did not. */
static void expect_failures(struct world *w)
{
    unsigned failures = 0;

    for (uint64_t i = 0; i < READS; i++) {
        assert_int_equal(w->seen[i], 1);
        if (w->status[i] != CKPT_OK) {
            assert_true(w->status[i] == CKPT_ERR_LINK || w->status[i] == CKPT_ERR_TIMEOUT);
            failures++;
            continue;
        }
        for (uint64_t j = 0; j < REGION_BYTES / READS; j += 511) {
            assert_int_equal(w->memory[i * (REGION_BYTES / READS) + j], 0x5a);
        }
    }
    assert_true(failures > 0);
}

static void expect_quiet(struct world *w)
{
    struct timespec end;

    memset(w->memory, 0x77, REGION_BYTES);
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += 1;
    for (struct timespec now = {0}; now.tv_sec < end.tv_sec; clock_gettime(CLOCK_MONOTONIC, &now)) {
        struct transport_completion done;
        assert_int_equal(transport_progress(w->reader, &done, 1), 0);
    }
    for (uint64_t i = 0; i < REGION_BYTES; i++) {
        if (w->memory[i] != 0x77) {
            fail_msg("byte %ju was written after all reads had ended", (uintmax_t)i);
        }
    }
}

static void disconnect(struct world *w)
{
    assert_int_equal(start(w, 0), CKPT_ERR_LINK);
    transport_disconnect(w->endpoint);
    wait_for(w, &w->disconnected, 1);
}

static void test_killed(void **state)
{
    struct world *w = *state;

    get_going(w);
    kill(w->peer, SIGKILL);
    wait_for(w, &w->ended, READS);
    expect_failures(w);
    disconnect(w);
    expect_quiet(w);
}

static void test_killed_before_the_first_read(void **state)
{
    struct world *w = *state;

    kill(w->peer, SIGKILL);
    assert_int_equal(waitpid(w->peer, NULL, 0), w->peer);
    for (uint64_t i = 0; i < READS; i++) {
        if (start(w, i) != CKPT_OK) {
            w->seen[i] = 1;
            w->status[i] = CKPT_ERR_LINK;
            w->ended++;
        }
    }
    wait_for(w, &w->ended, READS);
    expect_failures(w);
    disconnect(w);
}

static void test_killed_while_idle(void **state)
{
    struct world *w = *state;

    assert_int_equal(start(w, 0), CKPT_OK);
    wait_for(w, &w->ended, 1);
    assert_int_equal(w->status[0], CKPT_OK);
    w->seen[0] = w->ended = 0;
    kill(w->peer, SIGKILL);
    assert_int_equal(waitpid(w->peer, NULL, 0), w->peer);
    for (uint64_t i = 0; i < READS; i++) {
        if (start(w, i) != CKPT_OK) {
            w->seen[i] = 1;
            w->status[i] = CKPT_ERR_LINK;
            w->ended++;
        }
    }
    wait_for(w, &w->ended, READS);
    expect_failures(w);
    disconnect(w);
}

static void test_stopped_and_continued(void **state)
{
    struct world *w = *state;

    get_going(w);
    kill(w->peer, SIGSTOP);
    wait_for(w, &w->ended, READS);
    expect_failures(w);
    disconnect(w);
    /* What the peer still has to say finds nobody. */
    kill(w->peer, SIGCONT);
    expect_quiet(w);
    memset(w->seen, 0, sizeof(w->seen));
    w->ended = 0;
    assert_int_equal(
        transport_connect(w->reader, w->card.address, w->card.address_bytes, 0, &w->endpoint),
        CKPT_OK);
    start_all(w);
    wait_for(w, &w->ended, READS);
    for (uint64_t i = 0; i < READS; i++) {
        assert_int_equal(w->status[i], CKPT_OK);
    }
    for (uint64_t i = 0; i < REGION_BYTES; i += 509) {
        assert_int_equal(w->memory[i], 0x5a);
    }
}

static void test_stopped_before_the_connection(void **state)
{
    struct world *w = *state;

    kill(w->peer, SIGSTOP);
    start_all(w);
    wait_for(w, &w->ended, READS);
    expect_failures(w);
    for (uint64_t i = 0; i < READS; i++) {
        assert_int_equal(w->status[i], CKPT_ERR_TIMEOUT);
    }
    disconnect(w);
    kill(w->peer, SIGCONT);
    expect_quiet(w);
}

static void test_deregistered_in_mid_read(void **state)
{
    struct world *w = *state;
    char byte;

    get_going(w);
    assert_int_equal(write(w->socket, "d", 1), 1);
    wait_for(w, &w->ended, READS);
    assert_int_equal(read(w->socket, &byte, 1), 1);
    for (uint64_t i = 0; i < READS; i++) {
        assert_int_equal(w->seen[i], 1);
        if (w->status[i] == CKPT_OK) {
            assert_int_equal(w->memory[i * (REGION_BYTES / READS)], 0x5a);
            assert_int_equal(w->memory[(i + 1) * (REGION_BYTES / READS) - 1], 0x5a);
        } else {
            assert_true(w->status[i] == CKPT_ERR_STALE || w->status[i] == CKPT_ERR_LINK);
        }
    }
}

/* Many readers die at every stage of a connection; the source outlives them all. */
static void test_readers_come_and_go(void **state)
{
    struct world *w = *state;

    for (unsigned round = 0; round < 30; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            execl("/proc/self/exe", "test_peer", "read", (char *)NULL);
            _exit(127);
        }
        (void)child;
        struct timespec pause = {.tv_nsec = 1000000L * (round * 2)};
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    start_all(w);
    wait_for(w, &w->ended, READS);
    for (uint64_t i = 0; i < READS; i++) {
        assert_int_equal(w->status[i], CKPT_OK);
    }
}

/* The short-lived reader of the test above: reads for ever from the card it finds in the
 * environment's file. */
static int read_for_ever(void)
{
    struct world w = {0};
    FILE *file = fopen(getenv("CKPT_TEST_CARD"), "r");

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (file == NULL || fread(&w.card, sizeof(w.card), 1, file) != 1) {
        return 1;
    }
    fclose(file);
    w.reader = open_one(&w.region, 0);
    if (transport_connect(w.reader, w.card.address, w.card.address_bytes, 0, &w.endpoint) !=
        CKPT_OK) {
        return 1;
    }
    for (;;) {
        for (uint64_t i = 0; i < READS; i++) {
            start(&w, i);
        }
        turn(&w);
    }
}

static int setup_card(void **state)
{
    static char path[] = "/tmp/ckpt_test_card_XXXXXX";
    struct world *w;
    int fd;

    /* Nobody is silent here: on a busy machine a connection takes longer than a second. */
    timeout_ms = PATIENCE_S / 2 * 1000;
    setup(state);
    timeout_ms = TIMEOUT_MS;
    w = *state;
    strcpy(path + sizeof(path) - 7, "XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, &w->card, sizeof(w->card)), sizeof(w->card));
    close(fd);
    setenv("CKPT_TEST_CARD", path, 1);
    return 0;
}

static int teardown_card(void **state)
{
    unlink(getenv("CKPT_TEST_CARD"));
    return teardown(state);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
#define PEER_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        PEER_TEST(test_killed),
        PEER_TEST(test_killed_before_the_first_read),
        PEER_TEST(test_killed_while_idle),
        PEER_TEST(test_stopped_and_continued),
        PEER_TEST(test_stopped_before_the_connection),
        PEER_TEST(test_deregistered_in_mid_read),
        cmocka_unit_test_setup_teardown(test_readers_come_and_go, setup_card, teardown_card),
    };

    if (count == 2) {
        return strcmp(arguments[1], "serve") == 0 ? serve() : read_for_ever();
    }
    return cmocka_run_group_tests_name(SUITE_SPEC, tests, NULL, NULL);
}
