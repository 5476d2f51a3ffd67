/* SPDX-License-Identifier: Apache-2.0 */
/* The histogram of latencies against sorted samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "report/latency.h"

#define COUNT 20000

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Every quantile is at most 1/128 above the sample that sorting gives, and never below it. */
static void test_quantiles_are_near(void **state)
{
    static const double parts[] = {0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
    uint64_t *values = calloc(COUNT, sizeof(*values));
    struct latency *latency = calloc(1, sizeof(*latency));
    uint64_t seed = 88172645463325252;
    (void)state;
    assert_non_null(values);
    assert_non_null(latency);
    for (size_t i = 0; i < COUNT; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        values[i] = seed >> (20 + i % 40); /* from hours to nothing */
        latency_add(latency, values[i]);
    }
    qsort(values, COUNT, sizeof(*values), compare);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        uint64_t exact = values[(size_t)(parts[i] * COUNT) - 1];
        uint64_t near = latency_quantile(latency, parts[i]);
        assert_true(near >= exact);
        assert_true(near <= exact + exact / 128 + 1);
    }
    assert_int_equal(latency->least, values[0]);
    assert_int_equal(latency->greatest, values[COUNT - 1]);
    assert_int_equal(latency_quantile(latency, 0), values[0]);
    free(latency);
    free(values);
}

/* 1,000 values have a 99.9 %: one is above it. 999 have none. */
static void test_what_has_a_quantile(void **state)
{
    static const struct {
        uint64_t count;
        double part;
        bool has;
    } wanted[] = {{0, 0.5, false},     {1, 0.5, false},    {2, 0.5, true},    {9, 0.9, false},
                  {10, 0.9, true},     {99, 0.99, false},  {100, 0.99, true}, {100, 0.999, false},
                  {999, 0.999, false}, {1000, 0.999, true}};
    struct latency *latency = calloc(1, sizeof(*latency));
    (void)state;
    assert_non_null(latency);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        latency->count = wanted[i].count;
        assert_int_equal(latency_has_quantile(latency, wanted[i].part), wanted[i].has);
    }
    free(latency);
}

static void test_few(void **state)
{
    struct latency *latency = calloc(1, sizeof(*latency));
    (void)state;
    assert_non_null(latency);
    assert_int_equal(latency_quantile(latency, 0.5), 0);
    latency_add(latency, 1000003);
    assert_int_equal(latency_quantile(latency, 0.5), 1000003);
    assert_int_equal(latency_quantile(latency, 0.999), 1000003);
    latency_add(latency, UINT64_MAX);
    latency_add(latency, 0);
    assert_int_equal(latency_quantile(latency, 1), UINT64_MAX);
    assert_int_equal(latency_quantile(latency, 0.1), 0);
    free(latency);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles_are_near),
        cmocka_unit_test(test_what_has_a_quantile),
        cmocka_unit_test(test_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
