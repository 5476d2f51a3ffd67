/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of both machines share: memory, and a fixture that a failed assertion does not
 * leak. */
#ifndef CKPT_TESTS_UNIT_MACHINE_H
#define CKPT_TESTS_UNIT_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/message.h"

/* What a daemon of before fingerprints understands. */
#define FEATURES_BEFORE_KEYS (WIRE_FEATURES & ~(WIRE_FEATURE_FINGERPRINT | WIRE_FEATURE_RANGES))

/* A test with `fixture_setup` and `fixture_teardown` around it; its *state is the fixture. */
#define MACHINE_TEST(test, fixture)                                                                \
    cmocka_unit_test_setup_teardown(test, fixture##_setup, fixture##_teardown)

/* A table of what is wrong: SPOILS makes the function of a row, which spoils *it, and {ROW(name)}
 * the row. ROW_HOLDS fails with its name. */
#define SPOILS(row, type, ...)                                                                     \
    static void row(type *it)                                                                      \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }
#define ROW(row) .name = #row, .spoil = (row)
#define ROW_HOLDS(row, condition)                                                                  \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail_msg("%s: it does not hold that %s", (row)->name, #condition);                     \
        }                                                                                          \
    } while (0)
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* For a machine to be made in: of zeros, aligned as it wants it; for free(). */
static inline void *machine_memory(size_t bytes)
{
    size_t whole = (bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, whole);
    assert_non_null(memory);
    memset(memory, 0, whole);
    return memory;
}

#endif
