/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of each type, byte for byte, as it has always been: golden/<name>.hex. A change here is
 * a change of the protocol: raise WIRE_PROTOCOL_VERSION, unless a field was only added. The files
 * are written anew, and reviewed, by
 *
 *     CKPT_GOLDEN_WRITE=1 build/dev/tests/test_wire_golden
 *
 * Each file is one SAMPLE_PATTERN message, 32 bytes a line: `xxd -r -p` makes bytes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "unit/wire/sample.h"

#define TEXT_MAX (4 * CKPT_MIB)

static void make_path(enum message_type type, char path[512])
{
    (void)snprintf(path, 512, "%s/%s.hex", GOLDEN_DIR, message_type_name(type));
}

static void make_text(const uint8_t *bytes, size_t count, char *text)
{
    for (size_t i = 0; i < count; i += 32) {
        size_t line = count - i < 32 ? count - i : 32;
        hex_encode(bytes + i, line, text);
        text += 2 * line;
        *text++ = '\n';
    }
    *text = '\0';
}

static size_t parse_text(const char *text, uint8_t *bytes)
{
    size_t count = 0;
    unsigned value;
    int used;
    while (sscanf(text, " %2x%n", &value, &used) == 1) {
        bytes[count++] = (uint8_t)value;
        text += used;
    }
    return count;
}

static void test_golden(void **state)
{
    (void)state;
    static char text[TEXT_MAX];
    static char golden[TEXT_MAX];
    static uint8_t frame[TEXT_MAX];
    for (size_t i = 0; i < sample_type_count; i++) {
        struct message message;
        size_t bytes = 0;
        char path[512];
        sample_fill(sample_types[i], SAMPLE_PATTERN, &message);
        assert_int_equal(message_encode(&message, sample_buffer(), FRAME_BYTES_MAX, &bytes),
                         CKPT_OK);
        make_text(sample_buffer(), bytes, text);
        make_path(sample_types[i], path);
        bool write = getenv("CKPT_GOLDEN_WRITE") != NULL;
        FILE *file = fopen(path, write ? "w" : "r");
        if (file == NULL) {
            fail_msg("%s: no golden frame", path);
            return;
        }
        if (write) {
            assert_true(fputs(text, file) >= 0);
            assert_int_equal(fclose(file), 0);
            continue;
        }
        size_t length = fread(golden, 1, sizeof(golden) - 1, file);
        golden[length] = '\0';
        (void)fclose(file);
        assert_string_equal(text, golden);
        /* And the golden bytes still say what they said. */
        struct message got;
        assert_int_equal(message_decode(frame, parse_text(golden, frame), sample_scratch(), &got),
                         CKPT_OK);
        assert_true(sample_equal(&message, &got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
