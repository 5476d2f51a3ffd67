/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/transport/suite.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "transport/transport.h"

#define REGION_BYTES (16 * CKPT_MIB)
#define IN_FLIGHT 64
#define PATIENCE_S 30

static const char *suite_spec;

/* One source and one reader, each with a region, joined by an endpoint. */
struct pair {
    struct transport *source, *reader;
    uint8_t *source_memory, *reader_memory;
    struct transport_region *source_region, *reader_region;
    uint8_t descriptor[CKPT_DESCRIPTOR_MAX];
    size_t descriptor_bytes;
    struct transport_endpoint *endpoint;
    unsigned seen[IN_FLIGHT * 4]; /* completions by cookie */
    enum ckpt_status status[IN_FLIGHT * 4];
    unsigned disconnected;
};

static uint8_t pattern(uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 7 + (offset >> 16) + 1);
}

static uint8_t *map(void)
{
    uint8_t *memory =
        mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    return memory;
}

static struct transport *open_transport(void)
{
    struct transport *t = NULL;
    struct transport_options options = {
        .in_flight_max = IN_FLIGHT, .timeout_ms = 3000, .devices = suite_devices()};

    if (transport_open(suite_spec, &options, &t) != CKPT_OK) {
        fail_msg("%s: %s", suite_spec, transport_open_error());
    }
    return t;
}

static struct transport_region *enroll(struct transport *t, uint8_t *memory, uint64_t bytes)
{
    struct transport_region *region = NULL;
    struct transport_memory description = {.address = memory, .bytes = bytes, .generation = 1};

    assert_int_equal(transport_register(t, &description, &region), CKPT_OK);
    assert_ptr_equal(region->address, memory);
    assert_int_equal(region->bytes, bytes);
    return region;
}

static struct transport_endpoint *join(struct transport *reader, struct transport *source,
                                       uint64_t cookie)
{
    uint8_t address[CKPT_WORKER_ADDRESS_MAX];
    size_t bytes = 0;
    struct transport_endpoint *endpoint = NULL;

    assert_int_equal(transport_address(source, address, &bytes), CKPT_OK);
    assert_in_range(bytes, 1, CKPT_WORKER_ADDRESS_MAX);
    assert_int_equal(transport_connect(reader, address, bytes, cookie, &endpoint), CKPT_OK);
    return endpoint;
}

static int setup(void **state)
{
    struct pair *p = calloc(1, sizeof(*p));

    p->source = open_transport();
    p->reader = open_transport();
    p->source_memory = map();
    p->reader_memory = map();
    for (uint64_t i = 0; i < REGION_BYTES; i++) {
        p->source_memory[i] = pattern(i);
    }
    p->source_region = enroll(p->source, p->source_memory, REGION_BYTES);
    p->reader_region = enroll(p->reader, p->reader_memory, REGION_BYTES);
    assert_int_equal(transport_export(p->source_region, p->descriptor, &p->descriptor_bytes),
                     CKPT_OK);
    p->endpoint = join(p->reader, p->source, 7);
    *state = p;
    return 0;
}

static void count_closed(void *context, const struct transport_completion *completion)
{
    struct pair *p = context;

    assert_int_equal(completion->kind, TRANSPORT_READ);
    p->seen[completion->cookie]++;
    p->status[completion->cookie] = completion->status;
}

static int teardown(void **state)
{
    struct pair *p = *state;

    transport_close(p->reader, count_closed, p);
    transport_close(p->source, NULL, NULL);
    munmap(p->source_memory, REGION_BYTES);
    munmap(p->reader_memory, REGION_BYTES);
    free(p);
    return 0;
}

/* One turn of both transports; the sleeping path is taken whenever both have nothing to do. */
static void turn(struct pair *p, int sleep_ms)
{
    struct transport_completion done[8];
    size_t count = transport_progress(p->reader, done, 8);
    bool idle = count == 0;

    for (size_t i = 0; i < count; i++) {
        if (done[i].kind == TRANSPORT_DISCONNECTED) {
            p->disconnected++;
            continue;
        }
        assert_in_range(done[i].cookie, 0, IN_FLIGHT * 4 - 1);
        assert_int_equal(p->disconnected, 0);
        p->seen[done[i].cookie]++;
        p->status[done[i].cookie] = done[i].status;
    }
    if (p->source != NULL) {
        assert_int_equal(transport_progress(p->source, done, 8), 0);
        idle = transport_arm(p->source) && idle;
    }
    if (transport_arm(p->reader) && idle) {
        struct pollfd fds[2] = {{.fd = transport_event_fd(p->reader), .events = POLLIN},
                                {.fd = -1, .events = POLLIN}};
        if (p->source != NULL) {
            fds[1].fd = transport_event_fd(p->source);
        }
        poll(fds, 2, sleep_ms);
    }
}

static void wait_for(struct pair *p, const unsigned *counter, unsigned value)
{
    time_t end = time(NULL) + PATIENCE_S;

    while (*counter < value) {
        turn(p, 100);
        assert_true(time(NULL) < end);
    }
    assert_int_equal(*counter, value);
}

static enum ckpt_status start(struct pair *p, uint64_t from, uint64_t to, uint64_t bytes,
                              uint64_t cookie)
{
    struct transport_read_request request = {.endpoint = p->endpoint,
                                             .descriptor = p->descriptor,
                                             .descriptor_bytes = p->descriptor_bytes,
                                             .remote_offset = from,
                                             .local = p->reader_region,
                                             .local_offset = to,
                                             .bytes = bytes,
                                             .cookie = cookie};
    return transport_read(&request);
}

static enum ckpt_status fetch(struct pair *p, uint64_t from, uint64_t to, uint64_t bytes)
{
    p->seen[0] = 0;
    assert_int_equal(start(p, from, to, bytes, 0), CKPT_OK);
    wait_for(p, &p->seen[0], 1);
    return p->status[0];
}

static void expect_bytes(const struct pair *p, uint64_t from, uint64_t to, uint64_t bytes)
{
    if (memcmp(p->reader_memory + to, p->source_memory + from, bytes) != 0) {
        fail_msg("%ju bytes at %ju differ", (uintmax_t)bytes, (uintmax_t)to);
    }
}

static void test_sizes(void **state)
{
    static const uint64_t sizes[] = {
        0,    1,    2,     7,       63,           64,       65,           4095,        8191,
        8192, 8193, 65537, 1000003, CKPT_MIB - 1, CKPT_MIB, CKPT_MIB + 1, 8 * CKPT_MIB};
    struct pair *p = *state;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t from = 13 * i, to = 4096 + 5 * i;
        memset(p->reader_memory, 0xee, 9 * CKPT_MIB);
        assert_int_equal(fetch(p, from, to, sizes[i]), CKPT_OK);
        expect_bytes(p, from, to, sizes[i]);
        /* Nothing on either side of the target is touched. */
        assert_int_equal(p->reader_memory[to - 1], 0xee);
        assert_int_equal(p->reader_memory[to + sizes[i]], 0xee);
    }
}

static void test_whole_region_edges(void **state)
{
    struct pair *p = *state;

    assert_int_equal(fetch(p, REGION_BYTES - 1, 0, 1), CKPT_OK);
    assert_int_equal(p->reader_memory[0], pattern(REGION_BYTES - 1));
    assert_int_equal(fetch(p, REGION_BYTES, REGION_BYTES, 0), CKPT_OK);
    assert_int_equal(fetch(p, 0, REGION_BYTES - CKPT_MIB, CKPT_MIB), CKPT_OK);
    expect_bytes(p, 0, REGION_BYTES - CKPT_MIB, CKPT_MIB);
}

static void test_many_in_flight(void **state)
{
    struct pair *p = *state;
    uint64_t slice = REGION_BYTES / IN_FLIGHT;

    for (uint64_t i = 0; i < IN_FLIGHT; i++) {
        assert_int_equal(start(p, i * slice, (IN_FLIGHT - 1 - i) * slice, slice, i), CKPT_OK);
    }
    assert_int_equal(start(p, 0, 0, 1, 0), CKPT_ERR_FULL);
    for (uint64_t i = 0; i < IN_FLIGHT; i++) {
        wait_for(p, &p->seen[i], 1);
        assert_int_equal(p->status[i], CKPT_OK);
        expect_bytes(p, i * slice, (IN_FLIGHT - 1 - i) * slice, slice);
    }
    for (int i = 0; i < 20; i++) {
        turn(p, 1);
    }
    for (uint64_t i = 0; i < IN_FLIGHT; i++) {
        assert_int_equal(p->seen[i], 1);
    }
    assert_int_equal(p->reader_region->reads_in_flight, 0);
}

static void test_several_endpoints(void **state)
{
    struct pair *p = *state;
    struct transport_endpoint *first = p->endpoint;
    struct transport_endpoint *others[3];
    uint64_t cookie = 0;

    for (size_t i = 0; i < 3; i++) {
        others[i] = join(p->reader, p->source, 100 + i);
    }
    for (size_t round = 0; round < 5; round++) {
        for (size_t i = 0; i < 4; i++) {
            p->endpoint = i == 3 ? first : others[i];
            assert_int_equal(start(p, cookie * 4096, cookie * 4096, 4096, cookie), CKPT_OK);
            cookie++;
        }
    }
    for (uint64_t i = 0; i < cookie; i++) {
        wait_for(p, &p->seen[i], 1);
        assert_int_equal(p->status[i], CKPT_OK);
    }
    expect_bytes(p, 0, 0, cookie * 4096);
    transport_disconnect(others[1]);
    wait_for(p, &p->disconnected, 1);
    p->disconnected = 0;
    p->endpoint = others[2];
    assert_int_equal(fetch(p, 77, 0, 5000), CKPT_OK);
    expect_bytes(p, 77, 0, 5000);
}

static void test_ranges_are_checked(void **state)
{
    struct pair *p = *state;

    assert_int_equal(start(p, REGION_BYTES, 0, 1, 0), CKPT_ERR_SIZE);
    assert_int_equal(start(p, REGION_BYTES - 1, 0, 2, 0), CKPT_ERR_SIZE);
    assert_int_equal(start(p, UINT64_MAX, 0, 2, 0), CKPT_ERR_SIZE);
    assert_int_equal(start(p, UINT64_MAX - 3, 0, 8, 0), CKPT_ERR_SIZE);
    assert_int_equal(start(p, 0, REGION_BYTES, 1, 0), CKPT_ERR_INVALID);
    assert_int_equal(start(p, 0, UINT64_MAX, 1, 0), CKPT_ERR_INVALID);
    assert_int_equal(start(p, 0, 0, REGION_BYTES + 1, 0), CKPT_ERR_INVALID);
    assert_int_equal(fetch(p, 3, 0, 4), CKPT_OK);
    assert_int_equal(p->seen[0], 1);
}

static void test_damaged_descriptors(void **state)
{
    struct pair *p = *state;
    uint8_t good[CKPT_DESCRIPTOR_MAX];
    size_t good_bytes = p->descriptor_bytes;

    memcpy(good, p->descriptor, good_bytes);
    for (size_t i = 0; i < good_bytes; i++) {
        memcpy(p->descriptor, good, good_bytes);
        p->descriptor[i] ^= 0x41;
        enum ckpt_status status = start(p, 0, 0, 16, 0);
        assert_true(status == CKPT_ERR_PROTOCOL || status == CKPT_ERR_VERSION);
    }
    memcpy(p->descriptor, good, good_bytes);
    for (size_t i = 0; i < good_bytes; i++) {
        p->descriptor_bytes = i;
        assert_int_equal(start(p, 0, 0, 16, 0), CKPT_ERR_PROTOCOL);
    }
    p->descriptor_bytes = good_bytes + 1;
    assert_int_equal(start(p, 0, 0, 16, 0), CKPT_ERR_PROTOCOL);
    p->descriptor_bytes = CKPT_DESCRIPTOR_MAX + 1;
    assert_int_equal(start(p, 0, 0, 16, 0), CKPT_ERR_PROTOCOL);
    p->descriptor_bytes = good_bytes;
    assert_int_equal(fetch(p, 0, 0, 16), CKPT_OK);
}

static void test_damaged_addresses(void **state)
{
    struct pair *p = *state;
    uint8_t address[CKPT_WORKER_ADDRESS_MAX + 1] = {0};
    size_t bytes = 0;
    struct transport_endpoint *endpoint = NULL;

    assert_int_equal(transport_connect(p->reader, address, 0, 0, &endpoint), CKPT_ERR_PROTOCOL);
    assert_int_equal(transport_connect(p->reader, address, 100, 0, &endpoint), CKPT_ERR_PROTOCOL);
    assert_int_equal(transport_connect(p->reader, p->descriptor, p->descriptor_bytes, 0, &endpoint),
                     CKPT_ERR_PROTOCOL);
    assert_int_equal(transport_address(p->source, address, &bytes), CKPT_OK);
    for (size_t i = 0; i < bytes; i++) {
        address[i] ^= 0x10;
        enum ckpt_status status = transport_connect(p->reader, address, bytes, 0, &endpoint);
        assert_true(status == CKPT_ERR_PROTOCOL || status == CKPT_ERR_VERSION);
        address[i] ^= 0x10;
    }
    assert_int_equal(transport_connect(p->reader, address, bytes - 1, 0, &endpoint),
                     CKPT_ERR_PROTOCOL);
    assert_int_equal(transport_connect(p->reader, address, sizeof(address), 0, &endpoint),
                     CKPT_ERR_PROTOCOL);
    assert_null(endpoint);
}

static void test_revoked_region(void **state)
{
    struct pair *p = *state;

    assert_int_equal(fetch(p, 0, 0, 64), CKPT_OK);
    assert_int_equal(transport_revoke(p->source_region, 1), CKPT_ERR_INVALID);
    assert_int_equal(transport_revoke(p->source_region, 2), CKPT_OK);
    assert_int_equal(fetch(p, 0, 0, 64), CKPT_ERR_STALE);
    assert_int_equal(fetch(p, 0, 0, 0), CKPT_ERR_STALE);
    assert_int_equal(transport_export(p->source_region, p->descriptor, &p->descriptor_bytes),
                     CKPT_OK);
    assert_int_equal(fetch(p, 5, 0, CKPT_MIB), CKPT_OK);
    expect_bytes(p, 5, 0, CKPT_MIB);
}

static void test_deregistered_region(void **state)
{
    struct pair *p = *state;
    uint8_t *again = map();

    assert_int_equal(transport_deregister(p->source_region), CKPT_OK);
    enum ckpt_status status = fetch(p, 0, 0, CKPT_MIB);
    assert_true(status == CKPT_ERR_STALE || status == CKPT_ERR_LINK);
    /* A region that is registered in its place is another one. */
    p->source_region = enroll(p->source, again, REGION_BYTES);
    if (status == CKPT_ERR_STALE) {
        assert_int_equal(fetch(p, 0, 0, CKPT_MIB), CKPT_ERR_STALE);
    }
    assert_int_equal(transport_deregister(p->source_region), CKPT_OK);
    munmap(again, REGION_BYTES);
}

static void test_deregister_with_reads_in_flight(void **state)
{
    struct pair *p = *state;

    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(start(p, i * CKPT_MIB, i * CKPT_MIB, CKPT_MIB, i), CKPT_OK);
    }
    assert_int_equal(transport_deregister(p->reader_region), CKPT_ERR_INVALID);
    turn(p, 0);
    assert_int_equal(transport_deregister(p->source_region), CKPT_OK);
    memset(p->source_memory, 0, REGION_BYTES);
    /* All of them before a byte is looked at: who looks does not drive the transports, and on an
     * emulated machine that is long enough for the reads that are left to time out. */
    for (uint64_t i = 0; i < 8; i++) {
        wait_for(p, &p->seen[i], 1);
    }
    for (uint64_t i = 0; i < 8; i++) {
        if (p->status[i] == CKPT_OK) {
            for (uint64_t j = 0; j < CKPT_MIB; j++) {
                assert_int_equal(p->reader_memory[i * CKPT_MIB + j], pattern(i * CKPT_MIB + j));
            }
        } else {
            assert_true(p->status[i] == CKPT_ERR_STALE || p->status[i] == CKPT_ERR_LINK);
        }
    }
}

static void test_disconnect_with_reads_in_flight(void **state)
{
    struct pair *p = *state;
    unsigned complete = 0;

    assert_int_equal(fetch(p, 0, 0, 1), CKPT_OK);
    p->seen[0] = 0;
    for (uint64_t i = 0; i < 16; i++) {
        assert_int_equal(start(p, i * CKPT_MIB, i * CKPT_MIB, CKPT_MIB, i), CKPT_OK);
    }
    turn(p, 0);
    transport_disconnect(p->endpoint);
    transport_disconnect(p->endpoint);
    assert_int_equal(start(p, 0, 0, 1, 99), CKPT_ERR_INVALID);
    wait_for(p, &p->disconnected, 1);
    for (uint64_t i = 0; i < 16; i++) {
        assert_int_equal(p->seen[i], 1);
        assert_true(p->status[i] == CKPT_OK || p->status[i] == CKPT_ERR_LINK);
        complete += p->status[i] == CKPT_OK;
    }
    assert_true(complete < 16);
    /* Nothing may write to the targets any more. */
    memset(p->reader_memory, 0x5a, REGION_BYTES);
    for (int i = 0; i < 50; i++) {
        turn(p, 2);
    }
    for (uint64_t i = 0; i < REGION_BYTES; i++) {
        assert_int_equal(p->reader_memory[i], 0x5a);
    }
    p->disconnected = 0;
    p->endpoint = join(p->reader, p->source, 8);
    assert_int_equal(fetch(p, 11, 0, CKPT_MIB), CKPT_OK);
    expect_bytes(p, 11, 0, CKPT_MIB);
}

static void test_close_with_reads_in_flight(void **state)
{
    struct pair *p = *state;

    for (uint64_t i = 0; i < 16; i++) {
        assert_int_equal(start(p, i * CKPT_MIB, i * CKPT_MIB, CKPT_MIB, i), CKPT_OK);
    }
    turn(p, 0);
    transport_close(p->reader, count_closed, p);
    p->reader = NULL;
    for (uint64_t i = 0; i < 16; i++) {
        assert_int_equal(p->seen[i], 1);
        assert_true(p->status[i] == CKPT_OK || p->status[i] == CKPT_ERR_LINK);
    }
}

static void test_peer_closes(void **state)
{
    struct pair *p = *state;

    assert_int_equal(fetch(p, 0, 0, 64), CKPT_OK);
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(start(p, i * CKPT_MIB, i * CKPT_MIB, CKPT_MIB, i + 1), CKPT_OK);
    }
    transport_close(p->source, NULL, NULL);
    p->source = NULL;
    for (uint64_t i = 1; i <= 8; i++) {
        wait_for(p, &p->seen[i], 1);
        assert_true(p->status[i] != CKPT_OK ||
                    memcmp(p->reader_memory + (i - 1) * CKPT_MIB,
                           p->source_memory + (i - 1) * CKPT_MIB, CKPT_MIB) == 0);
    }
    enum ckpt_status status = start(p, 0, 0, 64, 20);
    if (status == CKPT_OK) {
        wait_for(p, &p->seen[20], 1);
        status = p->status[20];
    }
    assert_true(status == CKPT_ERR_LINK || status == CKPT_ERR_TIMEOUT);
    transport_disconnect(p->endpoint);
    wait_for(p, &p->disconnected, 1);
}

static void test_both_ways(void **state)
{
    struct pair *p = *state;
    struct transport_endpoint *back = join(p->source, p->reader, 5);
    struct transport_completion done;
    uint8_t descriptor[CKPT_DESCRIPTOR_MAX];
    size_t bytes = 0;
    time_t end = time(NULL) + PATIENCE_S;

    assert_int_equal(fetch(p, 0, 0, CKPT_MIB), CKPT_OK);
    assert_int_equal(transport_export(p->reader_region, descriptor, &bytes), CKPT_OK);
    struct transport_read_request request = {.endpoint = back,
                                             .descriptor = descriptor,
                                             .descriptor_bytes = bytes,
                                             .remote_offset = 1,
                                             .local = p->source_region,
                                             .local_offset = 9 * CKPT_MIB,
                                             .bytes = CKPT_MIB - 1,
                                             .cookie = 3};
    assert_int_equal(transport_read(&request), CKPT_OK);
    while (transport_progress(p->source, &done, 1) == 0) {
        assert_int_equal(transport_progress(p->reader, &done, 1), 0);
        assert_true(time(NULL) < end);
    }
    assert_int_equal(done.cookie, 3);
    assert_int_equal(done.status, CKPT_OK);
    assert_memory_equal(p->source_memory + 9 * CKPT_MIB, p->reader_memory + 1, CKPT_MIB - 1);
}

static void *wake_later(void *argument)
{
    struct timespec pause = {.tv_nsec = 20000000};

    nanosleep(&pause, NULL);
    transport_wake(argument);
    return NULL;
}

static void test_wake(void **state)
{
    struct pair *p = *state;
    struct transport_completion done;
    struct pollfd waiter = {.fd = transport_event_fd(p->reader), .events = POLLIN};
    pthread_t thread;

    /* A wake-up before the arm is not lost. */
    while (transport_progress(p->reader, &done, 1) != 0 || !transport_arm(p->reader)) {
    }
    transport_progress(p->reader, &done, 1);
    transport_wake(p->reader);
    assert_true(transport_arm(p->reader));
    assert_int_equal(poll(&waiter, 1, PATIENCE_S * 1000), 1);
    /* And it is used up by the progress that follows. */
    time_t end = time(NULL) + PATIENCE_S;
    do {
        do {
            transport_progress(p->reader, &done, 1);
            transport_progress(p->source, &done, 1);
        } while (!transport_arm(p->reader));
        assert_true(time(NULL) < end);
    } while (poll(&waiter, 1, 50) != 0);
    assert_int_equal(pthread_create(&thread, NULL, wake_later, p->reader), 0);
    assert_int_equal(poll(&waiter, 1, PATIENCE_S * 1000), 1);
    pthread_join(thread, NULL);
}

static void test_read_only_region(void **state)
{
    struct pair *p = *state;
    struct transport_memory memory = {
        .address = p->source_memory, .bytes = CKPT_MIB, .generation = 4, .read_only = true};
    struct transport_region *mine = p->reader_region;

    assert_int_equal(transport_register(p->reader, &memory, &p->reader_region), CKPT_OK);
    assert_int_equal(start(p, 0, 0, 1, 0), CKPT_ERR_INVALID);
    p->reader_region = mine;
    memory.bytes = 0;
    assert_int_equal(transport_register(p->reader, &memory, &mine), CKPT_ERR_INVALID);
    memory.bytes = UINT64_MAX;
    assert_int_equal(transport_register(p->reader, &memory, &mine), CKPT_ERR_INVALID);
    assert_ptr_equal(mine, p->reader_region);
}

int suite_run(const char *name, const char *spec)
{
    const struct CMUnitTest tests[] = {
#define SUITE_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        SUITE_TEST(test_sizes),
        SUITE_TEST(test_whole_region_edges),
        SUITE_TEST(test_many_in_flight),
        SUITE_TEST(test_several_endpoints),
        SUITE_TEST(test_ranges_are_checked),
        SUITE_TEST(test_damaged_descriptors),
        SUITE_TEST(test_damaged_addresses),
        SUITE_TEST(test_revoked_region),
        SUITE_TEST(test_deregistered_region),
        SUITE_TEST(test_deregister_with_reads_in_flight),
        SUITE_TEST(test_disconnect_with_reads_in_flight),
        SUITE_TEST(test_close_with_reads_in_flight),
        SUITE_TEST(test_peer_closes),
        SUITE_TEST(test_both_ways),
        SUITE_TEST(test_wake),
        SUITE_TEST(test_read_only_region),
    };

    suite_spec = spec;
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
