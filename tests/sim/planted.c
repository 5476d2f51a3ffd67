/* SPDX-License-Identifier: Apache-2.0 */
#include "planted.h"

#include "base/planted_bug.h"

#if CKPT_PLANTED_BUGS

int planted_bug_number;

void planted_bug_set(int number)
{
    planted_bug_number = number;
}

int planted_bug_count(void)
{
    return PLANTED_BUG_COUNT - 1;
}

const char *planted_bug_text(int number)
{
    static const char *const texts[] = {"none",
#define PLANTED_BUG_TEXT(name, text) text,
                                        PLANTED_BUG_TABLE(PLANTED_BUG_TEXT)
#undef PLANTED_BUG_TEXT
    };
    return texts[number];
}

#else

void planted_bug_set(int number)
{
    (void)number;
}

int planted_bug_count(void)
{
    return 0;
}

const char *planted_bug_text(int number)
{
    (void)number;
    return "none";
}

#endif
