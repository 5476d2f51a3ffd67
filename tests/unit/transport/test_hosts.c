/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "transport/ucx/hosts.h"

static struct host four(const char *text)
{
    struct host host = {.family = 4};

    assert_int_equal(inet_pton(AF_INET, text, host.bytes), 1);
    return host;
}

static struct host six(const char *text)
{
    struct host host = {.family = 6};

    assert_int_equal(inet_pton(AF_INET6, text, host.bytes), 1);
    return host;
}

/* What peer is reached at by own, as text. */
static const char *chosen(const struct hosts *peer, const struct hosts *own)
{
    static char text[INET6_ADDRSTRLEN];
    struct sockaddr_storage address;
    struct sockaddr_in in;

    if (hosts_choose(peer, own, &address) == 0) {
        return "none";
    }
    memcpy(&in, &address, sizeof(in));
    assert_int_equal(in.sin_family, AF_INET);
    return inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
}

static void the_address_in_the_nearest_subnet_is_chosen(void **state)
{
    struct hosts own = {.boot = {1}, .port = 1, .count = 2};
    struct hosts peer = {.boot = {2}, .port = 1, .count = 3};

    (void)state;
    own.entries[0] = four("127.0.0.1");
    own.entries[1] = four("10.1.0.1");
    peer.entries[0] = four("127.0.0.1");
    peer.entries[1] = four("192.168.0.2");
    peer.entries[2] = four("10.1.0.2");
    assert_string_equal(chosen(&peer, &own), "10.1.0.2");
    peer.boot[0] = 1; /* the same machine */
    assert_string_equal(chosen(&peer, &own), "127.0.0.1");
    hosts_leave_out_loopback(&peer);
    assert_string_equal(chosen(&peer, &own), "10.1.0.2");
}

static void loopback_can_be_left_out(void **state)
{
    struct hosts hosts = {.port = 1, .count = 4};

    (void)state;
    hosts.entries[0] = four("127.0.0.1");
    hosts.entries[1] = four("10.1.0.1");
    hosts.entries[2] = six("::1");
    hosts.entries[3] = six("fd00::1");
    hosts_leave_out_loopback(&hosts);
    assert_int_equal(hosts.count, 2);
    assert_int_equal(hosts.entries[0].bytes[0], 10);
    assert_int_equal(hosts.entries[1].bytes[0], 0xfd);
    hosts.count = 1;
    hosts.entries[0] = six("::1");
    hosts_leave_out_loopback(&hosts);
    assert_int_equal(hosts.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_address_in_the_nearest_subnet_is_chosen),
        cmocka_unit_test(loopback_can_be_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
