/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transport/fault/fault.h"

#define READS 2000
#define BYTES 64

struct result {
    unsigned good, bad, flipped, refused;
};

static enum ckpt_status await(struct transport *t)
{
    struct transport_completion done;

    while (transport_progress(t, &done, 1) == 0) {
    }
    assert_int_equal(done.kind, TRANSPORT_READ);
    return done.status;
}

/* Reads READS times through spec, and counts what happened. */
static struct result try(const char *spec, uint64_t seed)
{
    struct transport_options options = {.seed = seed};
    struct transport *source, *reader;
    struct transport_region *from, *to;
    struct transport_endpoint *endpoint;
    uint8_t sent[BYTES], received[BYTES], descriptor[CKPT_DESCRIPTOR_MAX],
        address[CKPT_WORKER_ADDRESS_MAX];
    size_t descriptor_bytes, address_bytes;
    struct transport_memory memory = {.address = sent, .bytes = BYTES, .generation = 1};
    struct result result = {0};

    memset(sent, 0xa5, BYTES);
    assert_int_equal(transport_open("loop", NULL, &source), CKPT_OK);
    assert_int_equal(transport_open(spec, &options, &reader), CKPT_OK);
    assert_int_equal(transport_register(source, &memory, &from), CKPT_OK);
    memory.address = received;
    assert_int_equal(transport_register(reader, &memory, &to), CKPT_OK);
    assert_int_equal(transport_export(from, descriptor, &descriptor_bytes), CKPT_OK);
    assert_int_equal(transport_address(source, address, &address_bytes), CKPT_OK);
    assert_int_equal(transport_connect(reader, address, address_bytes, 0, &endpoint), CKPT_OK);
    for (unsigned i = 0; i < READS; i++) {
        struct transport_read_request request = {.endpoint = endpoint,
                                                 .descriptor = descriptor,
                                                 .descriptor_bytes = descriptor_bytes,
                                                 .local = to,
                                                 .bytes = BYTES};
        memset(received, 0, BYTES);
        if (transport_read(&request) != CKPT_OK) {
            result.refused++;
            continue;
        }
        if (await(reader) != CKPT_OK) {
            result.bad++;
        } else {
            result.good++;
            result.flipped += memcmp(sent, received, BYTES) != 0;
        }
    }
    transport_close(reader, NULL, NULL);
    transport_close(source, NULL, NULL);
    return result;
}

static void test_error_rate(void **state)
{
    struct result result = try("fault:error=0.1:loop", 1);

    (void)state;
    assert_in_range(result.bad, READS / 20, READS / 5);
    assert_int_equal(result.good + result.bad, READS);
    assert_int_equal(result.flipped, 0);
}

static void test_corrupt_rate(void **state)
{
    struct result result = try("fault:corrupt=0.1:loop", 1);

    (void)state;
    assert_int_equal(result.good, READS);
    assert_in_range(result.flipped, READS / 20, READS / 5);
}

static void test_cut_after(void **state)
{
    struct result result = try("fault:cut_after=100:loop", 1);

    (void)state;
    assert_int_equal(result.good, 99);
    assert_int_equal(result.bad, 1);
    assert_int_equal(result.refused, READS - 100);
}

static void test_cut_rate(void **state)
{
    struct result result = try("fault:cut=0.01:loop", 1);

    (void)state;
    assert_int_equal(result.bad, 1);
    assert_in_range(result.refused, 1, READS - 2);
}

static void test_seed_replays(void **state)
{
    struct result a = try("fault:error=0.2,corrupt=0.2:loop", 7);
    struct result b = try("fault:error=0.2,corrupt=0.2:loop", 7);
    struct result c = try("fault:error=0.2,corrupt=0.2:loop", 8);

    (void)state;
    assert_memory_equal(&a, &b, sizeof(a));
    assert_true(memcmp(&a, &c, sizeof(a)) != 0);
}

static void test_parse(void **state)
{
    static const char good[] = "error=0.01,delay_ms=5,corrupt=0.001,cut_after=100";
    struct fault_plan plan;

    (void)state;
    assert_int_equal(fault_plan_parse(good, strlen(good), &plan), CKPT_OK);
    assert_int_equal(plan.error_ppm, 10000);
    assert_int_equal(plan.delay_ppm, 1000000);
    assert_int_equal(plan.delay_ms, 5);
    assert_int_equal(plan.corrupt_ppm, 1000);
    assert_int_equal(plan.cut_ppm, 0);
    assert_int_equal(plan.cut_after, 100);
    assert_int_equal(fault_plan_parse("", 0, &plan), CKPT_OK);
    assert_int_equal(plan.delay_ppm, 0);
}

static void test_parse_refuses(void **state)
{
    static const struct {
        const char *spec, *words;
    } cases[] = {
        {"fault", "wants the transport it wraps"},
        {"fault:error=0.1", "wants the transport it wraps"},
        {"fault:eror=0.1:loop", "did you mean \"error\"?"},
        {"fault:error=2:loop", "error=2 is not a number from 0 to 1"},
        {"fault:error=-1:loop", "is not a number"},
        {"fault:error=nan:loop", "is not a number"},
        {"fault:error=0.1x:loop", "is not a number"},
        {"fault:error:loop", "not KEY=VALUE"},
        {"fault:error=0.1,:loop", NULL},
        {"fault:error=0.1:smoke", "unknown transport \"smoke\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct transport *t = NULL;
        enum ckpt_status status = transport_open(cases[i].spec, NULL, &t);
        if (cases[i].words == NULL) {
            assert_int_equal(status, CKPT_OK);
            transport_close(t, NULL, NULL);
            continue;
        }
        assert_int_equal(status, CKPT_ERR_CONFIG);
        assert_null(t);
        if (strstr(transport_open_error(), cases[i].words) == NULL) {
            fail_msg("%s: %s", cases[i].spec, transport_open_error());
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_rate),    cmocka_unit_test(test_corrupt_rate),
        cmocka_unit_test(test_cut_after),     cmocka_unit_test(test_cut_rate),
        cmocka_unit_test(test_seed_replays),  cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
