/* SPDX-License-Identifier: Apache-2.0 */
/* A test that is the protocol, for both machines: lines with > are events, those with < all that
 * each of them brings. A machine's story.c has the words for both. */
#ifndef CKPT_TESTS_UNIT_STORY_H
#define CKPT_TESTS_UNIT_STORY_H

#include <stddef.h>

#define STORY_BYTES_MAX 8192
#define STORY_NUMBERS_MAX 4

/* The story as it goes; zeroed before it begins. */
struct story_text {
    char text[STORY_BYTES_MAX];
    size_t used;
};

void story_add(struct story_text *told, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Goes through `text`: hear() makes the event of each line with >, without the mark, and adds to
 * told what it brought. Fails, and prints the story as it went, when it went otherwise. */
void story_tell(struct story_text *told, const char *text,
                void (*hear)(void *context, const char *event), void *context);

#endif
