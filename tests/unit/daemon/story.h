/* SPDX-License-Identifier: Apache-2.0 */
/* What was called, in its order, as text: "adopt; serve; ". For tests whose neighbours only say
 * that they were called. */
#ifndef TESTS_UNIT_DAEMON_STORY_H
#define TESTS_UNIT_DAEMON_STORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static char story[4096];

__attribute__((format(printf, 1, 2))) static inline void tell(const char *format, ...)
{
    size_t used = strlen(story);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(story + used, sizeof(story) - used, format, arguments);
    va_end(arguments);
    used = strlen(story);
    snprintf(story + used, sizeof(story) - used, "; ");
}

/* What was told since the last time. */
#define EXPECT_STORY(expected)                                                                     \
    do {                                                                                           \
        assert_string_equal(story, expected);                                                      \
        story[0] = '\0';                                                                           \
    } while (0)

#endif
