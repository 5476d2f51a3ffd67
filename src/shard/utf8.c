/* SPDX-License-Identifier: Apache-2.0 */
#include "shard/utf8.h"

#include <stddef.h>
#include <stdint.h>

/* A run of lead bytes with the number of bytes that follow and the range of the first of these,
 * which is what keeps overlong forms, surrogates and too large numbers out. */
struct sequence {
    uint8_t lead_first, lead_last;
    uint8_t second_first, second_last;
    uint8_t following;
};

static const struct sequence sequences[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 1}, {0xe0, 0xe0, 0xa0, 0xbf, 2}, {0xe1, 0xec, 0x80, 0xbf, 2},
    {0xed, 0xed, 0x80, 0x9f, 2}, {0xee, 0xef, 0x80, 0xbf, 2}, {0xf0, 0xf0, 0x90, 0xbf, 3},
    {0xf1, 0xf3, 0x80, 0xbf, 3}, {0xf4, 0xf4, 0x80, 0x8f, 3},
};

/* How many bytes the sequence at b has; 0 when it is malformed. Reads no byte after a NUL. */
static size_t sequence_bytes(const uint8_t *b)
{
    if (b[0] < 0x80) {
        return 1;
    }
    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        const struct sequence *s = &sequences[i];
        if (b[0] < s->lead_first || b[0] > s->lead_last) {
            continue;
        }
        if (b[1] < s->second_first || b[1] > s->second_last) {
            return 0;
        }
        for (size_t n = 2; n <= s->following; n++) {
            if (b[n] < 0x80 || b[n] > 0xbf) {
                return 0;
            }
        }
        return (size_t)s->following + 1;
    }
    return 0;
}

bool utf8_is_valid(const char *text)
{
    const uint8_t *b = (const uint8_t *)text;
    while (*b != '\0') {
        size_t bytes = sequence_bytes(b);
        if (bytes == 0) {
            return false;
        }
        b += bytes;
    }
    return true;
}
