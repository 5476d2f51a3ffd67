/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people read them. */
#ifndef CKPT_CKPTCTL_TEXT_H
#define CKPT_CKPTCTL_TEXT_H

#include <stdint.h>

/* "12.5 MiB", "0 B". */
struct size_text {
    char text[24];
};
struct size_text size_text(uint64_t bytes);
#define SIZE_TEXT(bytes) (size_text(bytes).text)

/* "350 ms", "12 s", "5 min", "3 h", "2 d". */
struct size_text age_text(uint64_t ms);
#define AGE_TEXT(ms) (age_text(ms).text)

/* The user's name, or the number where there is none. */
struct size_text user_text(uint64_t uid);
#define USER_TEXT(uid) (user_text(uid).text)

#endif
