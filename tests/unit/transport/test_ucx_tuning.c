/* SPDX-License-Identifier: Apache-2.0 */
/* That the tuning of UCX takes in the library that runs: by what its sockets say, and by its own
 * log, which names what had no effect. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "base/log.h"
#include "transport/transport.h"
#include "unit/transport/suite.h"

#define BYTES CKPT_MIB
#define DESCRIPTORS 1024
#define PATIENCE_S 30

struct end {
    struct transport *t;
    struct transport_region *region;
    uint8_t *memory;
};

static char logged[4096];

static void collect(enum log_level level, const char *line, size_t bytes, void *context)
{
    size_t used = strlen(logged);

    (void)level, (void)bytes, (void)context;
    snprintf(logged + used, sizeof(logged) - used, "%s\n", line);
}

static struct end open_end(const char *spec)
{
    struct transport_options options = {.devices = suite_devices()};
    struct end end = {
        .memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
    struct transport_memory memory = {.address = end.memory, .bytes = BYTES, .generation = 1};

    assert_true(end.memory != MAP_FAILED);
    if (transport_open(spec, &options, &end.t) != CKPT_OK) {
        fail_msg("%s: %s", spec, transport_open_error());
    }
    assert_int_equal(transport_register(end.t, &memory, &end.region), CKPT_OK);
    return end;
}

static void close_end(struct end *end)
{
    transport_close(end->t, NULL, NULL);
    munmap(end->memory, BYTES);
}

/* Reads all of source by a new connection. */
static void read_once(struct end *reader, struct end *source)
{
    uint8_t address[CKPT_WORKER_ADDRESS_MAX];
    uint8_t descriptor[CKPT_DESCRIPTOR_MAX];
    size_t address_bytes;
    struct transport_read_request request = {
        .descriptor = descriptor, .local = reader->region, .bytes = BYTES};
    struct transport_completion done;
    time_t deadline = time(NULL) + PATIENCE_S;

    assert_int_equal(transport_address(source->t, address, &address_bytes), CKPT_OK);
    assert_int_equal(transport_export(source->region, descriptor, &request.descriptor_bytes),
                     CKPT_OK);
    assert_int_equal(transport_connect(reader->t, address, address_bytes, 0, &request.endpoint),
                     CKPT_OK);
    assert_int_equal(transport_read(&request), CKPT_OK);
    while (transport_progress(reader->t, &done, 1) == 0) {
        assert_int_equal(transport_progress(source->t, &done, 1), 0);
        assert_true(time(NULL) < deadline);
    }
    assert_int_equal(done.status, CKPT_OK);
}

/* Of this process's connections of TCP: how many have these times of keepalive. UCX takes times
 * through the processor's clock and may lose a second of the idle one by that. */
static unsigned count_sockets(int idle_s, int interval_s, int probes, unsigned *connected_out)
{
    unsigned alike = 0;

    *connected_out = 0;
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        struct sockaddr_storage peer;
        socklen_t peer_bytes = sizeof(peer);
        int value[3] = {0};
        static const int options[3] = {TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT};
        if (getpeername(fd, (struct sockaddr *)&peer, &peer_bytes) != 0 ||
            peer.ss_family != AF_INET) {
            continue;
        }
        (*connected_out)++;
        for (int i = 0; i < 3; i++) {
            socklen_t bytes = sizeof(value[i]);
            assert_int_equal(getsockopt(fd, IPPROTO_TCP, options[i], &value[i], &bytes), 0);
        }
        alike += value[0] >= idle_s - 1 && value[0] <= idle_s && value[1] == interval_s &&
                 value[2] == probes;
    }
    return alike;
}

static void expect_keepalive(const char *spec, int idle_s, int interval_s, int probes)
{
    struct end source = open_end(spec);
    struct end reader = open_end(spec);
    unsigned connected;
    unsigned alike;

    read_once(&reader, &source);
    alike = count_sockets(idle_s, interval_s, probes, &connected);
    if (connected == 0 || alike == 0) {
        fail_msg("%s, UCX %s: none of %u connections has keepalive %d, %d, %d", spec,
                 transport_ucx_version(), connected, idle_s, interval_s, probes);
    }
    close_end(&reader);
    close_end(&source);
}

static void a_dead_machine_is_noticed_in_seconds(void **state)
{
    (void)state;
    expect_keepalive("ucx:tcp", 2, 1, 3);
}

static void the_environment_wins(void **state)
{
    (void)state;
    setenv("UCX_TCP_KEEPIDLE", "7s", 1);
    expect_keepalive("ucx:tcp", 7, 1, 3);
    unsetenv("UCX_TCP_KEEPIDLE");
}

static void nothing_is_ignored(void **state)
{
    static const char *const specs[] = {"ucx", "ucx:tcp", "ucx:shm"};

    (void)state;
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        logged[0] = '\0';
        log_set_sink(collect, NULL);
        struct end source = open_end(specs[i]);
        struct end reader = open_end(specs[i]);
        read_once(&reader, &source);
        close_end(&reader);
        close_end(&source);
        log_set_sink(NULL, NULL);
        if (logged[0] != '\0') {
            fail_msg("%s, UCX %s: %s", specs[i], transport_ucx_version(), logged);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_machine_is_noticed_in_seconds),
        cmocka_unit_test(the_environment_wins),
        cmocka_unit_test(nothing_is_ignored),
    };

    printf("UCX %s\n", transport_ucx_version());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
