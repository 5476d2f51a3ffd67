/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void story_add(struct story_text *told, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int bytes =
        vsnprintf(told->text + told->used, sizeof told->text - told->used, format, arguments);
    va_end(arguments);
    assert_in_range(bytes, 0, sizeof told->text - told->used - 1);
    told->used += (size_t)bytes;
}

void story_tell(struct story_text *told, const char *text,
                void (*hear)(void *context, const char *event), void *context)
{
    char line[256];
    for (const char *at = text; *at != '\0';) {
        size_t bytes = strcspn(at, "\n");
        assert_in_range(bytes, 3, sizeof line - 1);
        memcpy(line, at, bytes);
        line[bytes] = '\0';
        at += bytes + (at[bytes] == '\n');
        if (line[0] == '>') {
            story_add(told, "%s\n", line);
            hear(context, line + 2);
        } else if (line[0] != '<') {
            fail_msg("neither heard nor done: %s", line);
        }
    }
    if (strcmp(text, told->text) != 0) {
        fail_msg("the story went so:\n%s", told->text);
    }
}
